#include "tools/bench/read_bandwidth.h"

#include <doctest/doctest.h>

#include <vector>

namespace quern {

TEST_CASE("every width of load reads every byte once") {
    struct alignas(64) Line {
        uint64_t words[8];
    };
    std::vector<Line> lines(64);  // 4096 bytes
    uint64_t expected = 0;
    for (size_t i = 0; i < lines.size() * 8; ++i) expected += lines[i / 8].words[i % 8] = i * i + 1;
    const auto* bytes = reinterpret_cast<const std::byte*>(lines.data());
    const size_t n_bytes = lines.size() * sizeof(Line);
    CHECK(read_all(bytes, n_bytes) == expected);
    if (best_isa() >= Isa::avx2) CHECK(read_all_avx2(bytes, n_bytes) == expected);
    if (best_isa() >= Isa::avx512) CHECK(read_all_avx512(bytes, n_bytes) == expected);
}

TEST_CASE("the bandwidth of one thread is that of a memory and not of a cache or a clock") {
    const double bytes_per_second = measure_read_bandwidth(1, best_isa());
    CHECK(bytes_per_second > 0.2e9);
    CHECK(bytes_per_second < 1000e9);
}

}  // namespace quern
