#include "tools/embed/vectors.h"

#include <doctest/doctest.h>

using namespace quern;

namespace {

std::vector<float> normalized(std::vector<float> vector, int norm) {
    normalize(vector, norm);
    return vector;
}

}  // namespace

TEST_CASE("a vector is scaled by the norm that is asked for") {
    CHECK(normalized({3, -4}, -1) == std::vector<float>{3, -4});
    CHECK(normalized({3, -4}, 0) == std::vector<float>{24570, -32760});
    CHECK(normalized({3, -5}, 1) == std::vector<float>{0.375f, -0.625f});
    CHECK(normalized({3, -4}, 2) == std::vector<float>{0.6f, -0.8f});
    CHECK(normalized({0, 2}, 3) == std::vector<float>{0, 1});
    CHECK(normalized({0, 0}, 2) == std::vector<float>{0, 0});
}

TEST_CASE("the cosine says how far two vectors point the same way") {
    CHECK(cosine(std::vector<float>{1, 1}, std::vector<float>{2, 2}) == doctest::Approx(1));
    CHECK(cosine(std::vector<float>{1, 0}, std::vector<float>{0, 3}) == 0);
    CHECK(cosine(std::vector<float>{1, 0}, std::vector<float>{0, 0}) == 0);
}

TEST_CASE("vectors are written as text, as arrays and as JSON") {
    const std::vector<TextVectors> two = {{.rows = {{1, 0}}}, {.rows = {{0, 0.5f}}}};
    CHECK(format_vectors(two, VectorFormat::text) ==
          "embedding 0: 1.000000 0.000000\nembedding 1: 0.000000 0.500000\n\ncosine similarity:\n1.0000 0.0000\n0.0000 1.0000\n");
    CHECK(format_vectors(two, VectorFormat::array) == "[[1, 0],\n [0, 0.5]]\n");
    const std::string json = format_vectors(two, VectorFormat::json_with_cosine);
    CHECK(json.find("\"cosineSimilarity\"") != std::string::npos);
    CHECK(format_vectors(two, VectorFormat::json).find("\"cosineSimilarity\"") == std::string::npos);
    const std::vector<TextVectors> tokens = {{.rows = {{1, 2}, {3, 4}}, .by_token = true}};
    CHECK(format_vectors(tokens, VectorFormat::array) == "[[[1, 2], [3, 4]]]\n");
    CHECK(format_vectors(tokens, VectorFormat::text) ==
          "embedding 0, token 0: 1.000000 2.000000\nembedding 0, token 1: 3.000000 4.000000\n");
}
