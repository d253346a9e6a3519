#include "engine/text_vector.h"

#include <doctest/doctest.h>

using namespace quern;

namespace {

std::vector<float> pooled(Pooling pooling) {
    TextVector vector(2, pooling);
    vector.add(std::vector<float>{1, 2, 3, 5});  // three tokens, in two portions
    vector.add(std::vector<float>{8, 11});
    return vector.result();
}

}  // namespace

TEST_CASE("the vectors of a text's tokens become one, however they come") {
    CHECK(pooled(Pooling::mean) == std::vector<float>{4, 6});
    CHECK(pooled(Pooling::cls) == std::vector<float>{1, 2});
    CHECK(pooled(Pooling::last) == std::vector<float>{8, 11});
    CHECK(pooled(Pooling::none) == std::vector<float>{1, 2, 3, 5, 8, 11});
}
