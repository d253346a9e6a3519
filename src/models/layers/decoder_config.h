// The hyper-parameters that decoder-only families share, read from GGUF keys `<architecture>.*` and checked.
#pragma once

#include <cstdint>
#include <span>

#include "gguf/gguf_file.h"
#include "graph/kv_cache.h"
#include "kernels/moe/routing.h"
#include "kernels/rope/rope.h"

namespace quern {

/// Multi-head latent attention: keys and values are made from one short vector for each token. Ranks of 0: none.
struct LatentAttention {
    int64_t q_rank = 0, kv_rank = 0;
    int nope_dim = 0, value_dim = 0;  ///< of a head: values that do not turn; values of v

    bool used() const { return kv_rank > 0; }
};

struct DecoderConfig {
    int n_layers = 0;
    int64_t n_embd = 0, n_ff = 0, n_vocab = 0, n_ctx_train = 0;
    int n_heads = 0, n_kv_heads = 0, head_dim = 0;
    float norm_eps = 0;
    float attention_scale = 0;                       ///< of q k; 1 / sqrt(head_dim) unless the file says otherwise
    float attention_softcap = 0, final_softcap = 0;  ///< 0: none
    int64_t window = 0;                              ///< of the layers that have one; 0: none
    int64_t n_ff_expert = 0, n_ff_shared = 0;        ///< of one expert; of all shared experts together
    Routing routing;                                 ///< n_experts is 0 where there are none
    int n_dense_layers = 0;                          ///< layers without experts at the start
    int value_dim = 0;                               ///< of a head; head_dim but for latent attention
    LatentAttention latent;
    RopeConfig rope;

    KvShape kv_shape() const {
        return {.n_layers = n_layers, .n_kv_heads = n_kv_heads, .head_dim = head_dim, .values_are_keys = latent.used()};
    }
    int64_t q_width() const { return static_cast<int64_t>(n_heads) * head_dim; }
    int64_t kv_width() const { return static_cast<int64_t>(n_kv_heads) * head_dim; }
};

/// @throws ModelError  naming the key that is missing or impossible
DecoderConfig read_decoder_config(const GgufFile& file, RopeStyle rope_style);

/// For families without experts. @throws ModelError
void require_no_experts(const GgufFile& file, const DecoderConfig& config);

/// Keys as wide as values, but in latent attention. @throws ModelError
void require_equal_heads(const GgufFile& file, const DecoderConfig& config);

/// For families that are nothing else. @throws ModelError
void require_experts(const GgufFile& file, const DecoderConfig& config);

/// Factors that divide the rotary frequencies: `rope_freqs.weight` of Llama 3.1 and later, `rope_factors_long.weight` of Phi 3. Empty if
/// the file has none. @throws ModelError  when one is not positive
std::span<const float> read_factors(const GgufFile& file, const char* name, const DecoderConfig& config);

}  // namespace quern
