// POST /v1/embeddings, and llama.cpp's /embedding.
#pragma once

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

/// Both throw what errors.h turns into refusals.
Answer answer_embeddings(ApiContext& api, const HttpRequest& request, const Waker& wake);
Answer answer_native_embeddings(ApiContext& api, const HttpRequest& request, const Waker& wake);

std::span<const FieldRule> embedding_field_rules();
std::span<const FieldRule> native_embedding_field_rules();

/// In one request.
inline constexpr size_t most_texts = 2048;

/// Cuts off what goes beyond the model's window, but for the token that ends a text.
void cut_to_window(const Engine& engine, std::vector<TokenId>& tokens);
/// @param what  is too long, should it be: "text 3", or "" @throws ContextOverflow
void require_window(const Engine& engine, size_t n_tokens, const std::string& what, const char* field);

/// Vectors of length 1 for each input, in order, made in the background. @throws as the job
struct Embeddings {
    std::vector<std::vector<float>> vectors;
    int64_t n_tokens = 0;
};

/// Makes them, and then lets `make` answer. @param n_dimensions  0: all; fewer are cut off, and the length is 1 again
Answer answer_with_embeddings(const ModelRequest& asked, std::vector<std::vector<TokenId>> inputs, int64_t n_dimensions,
                              std::function<Answer(const Embeddings&)> make);

}  // namespace quern
