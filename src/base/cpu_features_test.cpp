// Names of instruction sets, and what this machine says of itself.
#include "base/cpu_features.h"

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <thread>

#include "base/error.h"

namespace quern {

TEST_CASE("every instruction set is found by its own name, and nothing by another") {
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) CHECK(isa_from_name(to_string(isa)) == isa);
    for (const char* name : {"", "AVX2", "avx", "avx512 ", "sse"}) CHECK(!isa_from_name(name));
}

TEST_CASE("the widest instruction set agrees with the flags that the kernel lists") {
    std::ifstream file("/proc/cpuinfo");
    std::string flags;
    for (std::string line; std::getline(file, line);)
        if (line.rfind("flags", 0) == 0) flags = line + " ";
    if (flags.empty()) return;
    const auto has = [&](const std::string& flag) { return flags.find(concat(' ', flag, ' ')) != std::string::npos; };
    const bool avx2 = has("avx2") && has("fma") && has("f16c") && has("bmi2");
    const bool avx512 =
        avx2 && has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl") && has("avx512_vnni") && has("avx512vbmi");
    CHECK(best_isa() == (avx512 ? Isa::avx512 : avx2 ? Isa::avx2 : Isa::scalar));
}

TEST_CASE("a process may use at least one core and no more than the machine has") {
    CHECK(usable_cores() >= 1);
    CHECK(usable_cores() <= static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace quern
