// The environment variables that quern reads: all of them, so that nothing else in the tree needs getenv.
#pragma once

#include <optional>
#include <string>

#include "base/cpu_features.h"

namespace quern {

/// The variable's value, or nothing when it is unset or empty.
std::optional<std::string> environment_variable(const char* name);

/// The kernels that QUERN_CPU=scalar|avx2|avx512 asks for, or nothing when it is not set.
/// @throws InvalidInput  when the value is none of these, or names a set that this machine lacks
std::optional<Isa> isa_from_environment();

}  // namespace quern
