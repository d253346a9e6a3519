#include "tools/environment.h"

#include <cstdlib>

#include "base/error.h"

namespace quern {

std::optional<std::string> environment_variable(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
}

std::optional<Isa> isa_from_environment() {
    const std::optional<std::string> name = environment_variable("QUERN_CPU");
    if (!name) return std::nullopt;
    const std::optional<Isa> isa = isa_from_name(*name);
    if (!isa) throw InvalidInput(concat("QUERN_CPU is \"", *name, "\": it may be scalar, avx2 or avx512"), "QUERN_CPU");
    if (*isa > best_isa())
        throw InvalidInput(concat("QUERN_CPU asks for ", *name, ", and this machine has no more than ", to_string(best_isa())),
                           "QUERN_CPU");
    return isa;
}

}  // namespace quern
