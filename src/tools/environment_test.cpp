#include "tools/environment.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "base/error.h"

namespace quern {

TEST_CASE("QUERN_CPU chooses the kernels, and nothing does when it is empty") {
    unsetenv("QUERN_CPU");
    CHECK(!isa_from_environment());
    setenv("QUERN_CPU", "", 1);
    CHECK(!isa_from_environment());
    setenv("QUERN_CPU", "scalar", 1);
    CHECK(isa_from_environment() == Isa::scalar);
    setenv("QUERN_CPU", "neon", 1);
    CHECK_THROWS_AS(isa_from_environment(), InvalidInput);
    if (best_isa() < Isa::avx512) {
        setenv("QUERN_CPU", "avx512", 1);
        CHECK_THROWS_AS(isa_from_environment(), InvalidInput);
    }
    unsetenv("QUERN_CPU");
}

}  // namespace quern
