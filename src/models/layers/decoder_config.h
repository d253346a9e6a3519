// The hyper-parameters that decoder-only families share, read from GGUF keys `<architecture>.*` and checked.
#pragma once

#include <cstdint>
#include <span>

#include "gguf/gguf_file.h"
#include "graph/kv_cache.h"
#include "kernels/rope/rope.h"

namespace quern {

struct DecoderConfig {
    int n_layers = 0;
    int64_t n_embd = 0, n_ff = 0, n_vocab = 0, n_ctx_train = 0;
    int n_heads = 0, n_kv_heads = 0, head_dim = 0;
    float norm_eps = 0;
    RopeConfig rope;

    KvShape kv_shape() const { return {n_layers, n_kv_heads, head_dim}; }
    int64_t q_width() const { return static_cast<int64_t>(n_heads) * head_dim; }
    int64_t kv_width() const { return static_cast<int64_t>(n_kv_heads) * head_dim; }
};

/// @throws ModelError  naming the key that is missing or impossible
DecoderConfig read_decoder_config(const GgufFile& file, RopeStyle rope_style);

/// `rope_freqs.weight`, the frequency factors of Llama 3.1 and later; empty if the file has none.
std::span<const float> read_frequency_factors(const GgufFile& file, const DecoderConfig& config);

}  // namespace quern
