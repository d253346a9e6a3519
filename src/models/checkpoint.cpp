#include "models/checkpoint.h"

#include <limits>

#include "base/error.h"

namespace quern {

std::string CheckpointKeys::concat_key(std::string_view architecture, std::string_view key) { return concat(architecture, ".", key); }

void CheckpointKeys::integer(std::string_view key, CheckpointConfig::Names names) const {
    const auto value = config.integer(names);
    if (!value) return;
    if (*value < 0 || *value > std::numeric_limits<uint32_t>::max()) config.fail(concat(*names.begin(), " is ", *value));
    writer.set(full(key), static_cast<uint32_t>(*value));
}

void CheckpointKeys::require_integer(std::string_view key, CheckpointConfig::Names names) const {
    config.require_integer(names);
    integer(key, names);
}

void CheckpointKeys::real(std::string_view key, CheckpointConfig::Names names) const {
    if (const auto value = config.real(names)) writer.set(full(key), static_cast<float>(*value));
}

void CheckpointKeys::set(std::string_view key, const MetadataValue& value) const { writer.set(full(key), value); }

}  // namespace quern
