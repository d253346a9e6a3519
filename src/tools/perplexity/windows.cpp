#include "tools/perplexity/windows.h"

#include <algorithm>

#include "base/error.h"

namespace quern {

TextWindows cut_windows(int64_t n_tokens, int64_t n_ctx, int64_t stride, int64_t most) {
    if (n_ctx < 4) throw InvalidInput("a window needs at least 4 tokens", "n_ctx");
    if (stride < 0 || stride >= n_ctx) throw InvalidInput(concat("the stride must be 1 to ", n_ctx - 1, ", below the window"), "stride");
    if (n_tokens < n_ctx)
        throw InvalidInput(
            concat("the text has ", n_tokens, " tokens, fewer than one window of ", n_ctx, ": give a longer text or a smaller -c"), "file");
    TextWindows windows{.n_ctx = n_ctx, .stride = n_ctx, .first_scored = n_ctx / 2, .n_windows = n_tokens / n_ctx};
    if (stride > 0) {
        windows.stride = stride;
        windows.first_scored = n_ctx - stride - 1;
        windows.n_windows = (n_tokens - n_ctx) / stride + 1;
    }
    if (most > 0) windows.n_windows = std::min(windows.n_windows, most);
    return windows;
}

std::vector<TokenId> window_tokens(std::span<const TokenId> text, const TextWindows& windows, int64_t window,
                                   std::optional<TokenId> begin) {
    const auto part = text.subspan(static_cast<size_t>(window * windows.stride), static_cast<size_t>(windows.n_ctx));
    std::vector<TokenId> tokens(part.begin(), part.end());
    if (begin) tokens.front() = *begin;
    return tokens;
}

}  // namespace quern
