// Sizes and counts as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quern {

/// "1.50 GiB"
std::string human_bytes(uint64_t n);
/// "1.10 G"
std::string human_count(uint64_t n);
/// "1:05" or "2:00:00"
std::string human_duration(double seconds);
/// "512", "300M", "1.5GiB": units of 1000 with K, M, G, T and KB..., of 1024 with KiB... @throws InvalidInput
uint64_t parse_bytes(std::string_view text);

}  // namespace quern
