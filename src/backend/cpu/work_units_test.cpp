#include "backend/cpu/work_units.h"

#include <doctest/doctest.h>

using namespace quern;

TEST_CASE("a unit of work is whole groups of the rows that a kernel multiplies at once, however long they are") {
    for (const int64_t n_in : {576, 2048, 4096, 14336, 65536})
        for (const int64_t n_rows : {16, 1000, 4096, 128000})
            for (const int64_t n_threads : {1, 2, 16, 128}) {
                const MatmulChoice lanes{.row_multiple = 16, .waits_for_memory = true};
                CHECK(rows_per_unit(n_rows, n_in / 32 * 34, lanes, 1, n_threads) % 16 == 0);
                CHECK(rows_per_unit(n_rows, n_in / 32 * 34, {.row_multiple = 32}, 1, n_threads) % 32 == 0);
            }
}

TEST_CASE("a unit of work is whole heads, and whole groups too where that takes at most two heads") {
    const MatmulChoice lanes{.row_multiple = 16, .waits_for_memory = true};
    CHECK(rows_per_unit(4096, 4352, lanes, 128, 2) == 128);
    CHECK(rows_per_unit(4096, 4352, lanes, 72, 2) == 144);
    CHECK(rows_per_unit(4100, 4352, lanes, 41, 2) == 41);  // 656 rows would be too many
}

TEST_CASE("units that read weights are of about 64 KiB, those that compute of 128 rows, and each thread gets some") {
    CHECK(rows_per_unit(4096, 1024, {.waits_for_memory = true}, 1, 2) == 64);
    CHECK(rows_per_unit(4096, 1024, {}, 1, 2) == 128);
    CHECK(rows_per_unit(96, 1024, {.waits_for_memory = true}, 1, 2) == 8);
    CHECK(rows_per_unit(64, 1024, {}, 1, 2) == 8);
}
