#include "models/layers/encoder_checkpoint.h"

#include "base/error.h"

namespace quern {
namespace {

constexpr int64_t most_labels = 4096;

}  // namespace

void set_token_types(const CheckpointKeys& keys) {
    const int64_t n = keys.config.integer({"type_vocab_size"}).value_or(2);
    if (n < 1 || n > 1 << 16) keys.config.fail(concat("type_vocab_size is ", n, ", outside 1 to 65536"));
    keys.writer.set("tokenizer.ggml.token_type_count", static_cast<uint32_t>(n));
}

std::vector<std::string> label_names(const CheckpointConfig& config) {
    std::vector<std::string> names;
    for (int64_t i = 0; i <= most_labels; ++i) {
        const auto name = config.string({concat("id2label.", i)});
        if (!name) break;
        names.push_back(*name);
    }
    const int64_t n = names.empty() ? config.integer({"num_labels"}).value_or(2) : static_cast<int64_t>(names.size());
    if (n < 1 || n > most_labels) config.fail(concat("the classifier has ", n, " labels, outside 1 to ", most_labels));
    for (auto i = static_cast<int64_t>(names.size()); i < n; ++i) names.push_back(concat("LABEL_", i));
    return names;
}

void set_labels(const CheckpointKeys& keys) {
    const std::vector<std::string> names = label_names(keys.config);
    keys.writer.set_strings(keys.full("classifier.output_labels"), std::span<const std::string>(names));
    keys.set("pooling_type", uint32_t{4});
}

}  // namespace quern
