// What instruction sets this CPU has and the operating system saves (XCR0).
#pragma once

#include <optional>
#include <string_view>

namespace quern {

/// The families of kernels, from the one that runs everywhere to the widest. avx512 means F+BW+DQ+VL+VNNI+VBMI.
enum class Isa { scalar, avx2, avx512 };

std::string_view to_string(Isa isa);
/// "scalar", "avx2" or "avx512"; nothing for other names.
std::optional<Isa> isa_from_name(std::string_view name);

/// The widest family that this machine can run.
Isa best_isa();
/// Beside Isa::avx512: products of bf16 pairs.
bool has_avx512_bf16();

/// Physical cores this process may use: the least of cores, affinity mask and cgroup quota; at least 1.
int usable_cores();

}  // namespace quern
