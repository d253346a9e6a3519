#include "engine/text_vector.h"

#include <doctest/doctest.h>

using namespace quern;

TEST_CASE("the vectors of a text's tokens become one") {
    const std::vector<float> rows = {1, 2, 3, 5, 8, 11};  // three tokens
    CHECK(pool_rows(rows, 2, Pooling::mean) == std::vector<float>{4, 6});
    CHECK(pool_rows(rows, 2, Pooling::cls) == std::vector<float>{1, 2});
    CHECK(pool_rows(rows, 2, Pooling::last) == std::vector<float>{8, 11});
    CHECK(pool_rows(rows, 2, Pooling::none) == rows);
}
