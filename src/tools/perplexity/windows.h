// How a long text is cut into windows that a model sees one at a time, and which of its tokens are scored. As llama.cpp cuts and scores.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "text/token.h"

namespace quern {

/// Tokens [start, start + n_ctx) of the text; the logits of positions [first_scored, n_ctx - 1) of the window are held against the tokens
/// that follow them.
struct TextWindows {
    int64_t n_ctx = 512;
    int64_t stride = 0;        ///< tokens from the start of a window to that of the next
    int64_t first_scored = 0;  ///< position in the window
    int64_t n_windows = 0;

    int64_t n_scored() const noexcept { return n_ctx - 1 - first_scored; }
};

/// Windows side by side whose second half is scored; or, with a stride, overlapping windows whose last `stride` tokens are scored.
/// @param n_tokens  of the whole text  @param stride  0: windows side by side  @param most  0: all there are
/// @throws InvalidInput  when the window or the stride cannot be, or the text fills no window: says how many tokens it has
TextWindows cut_windows(int64_t n_tokens, int64_t n_ctx, int64_t stride, int64_t most);

/// The tokens of a window; the first becomes `begin` where the vocabulary asks for one.
std::vector<TokenId> window_tokens(std::span<const TokenId> text, const TextWindows& windows, int64_t window, std::optional<TokenId> begin);

}  // namespace quern
