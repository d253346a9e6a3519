// What `quern embed` does with vectors: brings them to a length, compares them, and writes them down.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace quern {

/// A text's vector, or with pooling none its tokens'.
struct TextVectors {
    std::vector<std::vector<float>> rows;
    bool by_token = false;
};

/// Scales to a norm of 1 in llama.cpp's numbering: -1 leaves it as it is, 0 scales the largest value to 32760, 1 takes the sum of absolute
/// values, 2 the Euclidean norm, p > 2 the p-norm. A vector of zeros stays.
void normalize(std::vector<float>& vector, int norm);

/// Between -1 and 1; 0 where one vector is zero.
double cosine(std::span<const float> a, std::span<const float> b);

enum class VectorFormat : uint8_t {
    text,             ///< a line for each vector and, where there are several texts, their similarities
    array,            ///< [[...], ...]
    json,             ///< as /v1/embeddings answers
    json_with_cosine  ///< and the matrix of similarities
};

/// What a cross-encoder says of a pair of texts.
struct PairScores {
    std::vector<float> scores;
    std::vector<std::string> labels;  ///< their names, or empty
};

/// As llama.cpp's embedding program writes them: a line for each pair, or as /v1/rerank answers, in the order of the pairs.
std::string format_scores(std::span<const PairScores> pairs, VectorFormat format);

/// Numbers are written so that the same float is read again, but for the plain text's six decimals.
std::string format_vectors(std::span<const TextVectors> texts, VectorFormat format);

}  // namespace quern
