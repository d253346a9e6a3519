// POST /v1/embeddings, and /v1/rerank with them.
#pragma once

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

/// Both throw what errors.h turns into refusals.
Answer answer_embeddings(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer answer_rerank(ApiContext& api, const HttpRequest& request, const Waker& wake);

std::span<const FieldRule> embedding_field_rules();
std::span<const FieldRule> rerank_field_rules();

/// Vectors of length 1 for each input, in order, made in the background. @throws as the job
struct Embeddings {
    std::vector<std::vector<float>> vectors;
    int64_t n_tokens = 0;
};

/// Makes them, and then lets `make` answer. @param n_dimensions  0: all; fewer are cut off, and the length is 1 again
Answer answer_with_embeddings(const ModelRequest& asked, std::vector<std::vector<TokenId>> inputs, int64_t n_dimensions,
                              std::function<Answer(const Embeddings&)> make);

}  // namespace quern
