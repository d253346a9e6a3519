// Attention of one sequence's query tokens over its paged keys and values, grouped-query heads folded into one pass over KV.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention/kv_type.h"

namespace quern {

/// Tokens in a page of the KV cache.
inline constexpr int64_t kv_page_tokens = 64;

/// Of what a head of q has: DeepSeek's latent attention has 512 + 64 values.
inline constexpr int most_head_dim = 576;

/// The keys or values of one layer: pages of [n_kv_heads, kv_page_tokens, head_dim], page p at value p * page_stride.
struct KvPages {
    std::byte* base = nullptr;
    int64_t page_stride = 0;  ///< in values
    KvType type = KvType::f16;

    /// REQUIRES: `value` begins a block of the type.
    std::byte* at(int64_t page, int64_t value) const noexcept { return base + kv_bytes(type, page * page_stride + value); }
};

/// How keys meet queries: read as they are kept, or from transposed f32, which costs more for a few rows and less for many. The sums differ
/// in their last bits, so that the choice is the caller's.
enum class KeyScoring : uint8_t { direct, transposed };

/// Scores one KV head against its group of query heads, over the KV positions [kv_begin, kv_end).
/// Query token t sits at position first_position + t and sees positions 0..first_position + t of them, or the last `window` of those, or
/// (not causal) all of them. Scores pass the soft cap, if any; a sink is one more score, of a key without a value.
/// Sources: Beltagy et al. 2020 (sliding windows); Gemma Team 2024 (soft caps); Xiao et al. 2023 and OpenAI 2025 (learned sinks).
struct AttentionTask {
    const float* q = nullptr;  ///< token t, head h at q + t * q_stride + h * head_dim
    int64_t q_stride = 0;
    int64_t n_tokens = 0;
    int64_t first_position = 0;
    KvPages keys, values;
    const int32_t* page_table = nullptr;  ///< position p lives in page page_table[p / kv_page_tokens]; pages before the window are not read
    int64_t kv_begin = 0, kv_end = 0;
    int n_heads = 0, n_kv_heads = 0, head_dim = 0;  ///< head_dim a multiple of 8, at most most_head_dim
    int kv_head = 0;  ///< serves query heads [kv_head * group, (kv_head + 1) * group), group = n_heads / n_kv_heads
    float scale = 1.0f;
    int64_t window = 0;            ///< 0: none
    float softcap = 0.0f;          ///< 0: none; else scores become softcap * tanh(score / softcap)
    const float* sinks = nullptr;  ///< [n_heads], or nullptr; of splits, only one may have them
    bool causal = true;
    KeyScoring scoring = KeyScoring::direct;  ///< heads that are no multiple of the vector are always transposed
    /// Output of token t, head h at out + t * out_stride + h * head_dim. With partial == nullptr it is the final, normalised result.
    float* out = nullptr;
    int64_t out_stride = 0;
    /// Not null: out holds the unnormalised sum and partial[(t * n_heads + h) * 2] = {max, sum of exp}, to be merged by the combine kernel.
    float* partial = nullptr;
};

using AttentionKernel = void (*)(const AttentionTask& task) noexcept;

/// Merges n_splits partial results of one (token, head): outs[s * split_stride ..], partials[s * partial_stride + {0, 1}] into
/// out[head_dim].
struct CombineTask {
    const float* outs = nullptr;
    int64_t split_stride = 0;
    const float* partials = nullptr;
    int64_t partial_stride = 0;
    int n_splits = 0, head_dim = 0;
    float* out = nullptr;
};
using CombineKernel = void (*)(const CombineTask& task) noexcept;

/// The oracle: two-pass softmax in double.
void attention_reference(const AttentionTask& task) noexcept;

}  // namespace quern
