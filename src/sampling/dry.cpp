#include "sampling/dry.h"

#include <algorithm>
#include <cmath>

namespace quern {
namespace {

constexpr double most_penalty = 1e30;  // what is left of a logit is still a number

}  // namespace

Dry::Dry(const SamplingParams& params)
    : multiplier_(params.dry_multiplier),
      base_(params.dry_base),
      allowed_(static_cast<size_t>(params.dry_allowed_length)),
      last_n_(params.dry_penalty_last_n),
      breakers_(params.dry_sequence_breakers) {
    for (const std::string& each : breakers_) longest_breaker_ = std::max(longest_breaker_, each.size());
}

// A breaker may be spread over several tokens: it counts for the one in which it ends.
bool Dry::ends_breaker(std::string_view text) {
    if (breakers_.empty()) return false;
    const size_t n_before = tail_.size();
    tail_ += text;
    const bool found = std::any_of(breakers_.begin(), breakers_.end(), [&](const std::string& breaker) {
        const size_t from = n_before + 1 > breaker.size() ? n_before + 1 - breaker.size() : 0;  // it ends in the new text
        return tail_.find(breaker, from) != std::string::npos;
    });
    if (tail_.size() >= longest_breaker_) tail_.erase(0, tail_.size() - (longest_breaker_ - 1));
    return found;
}

void Dry::accept(TokenId token, std::string_view text) {
    if (!active()) return;
    tokens_.push_back(token.value);
    is_breaker_.push_back(ends_breaker(text) ? 1 : 0);
}

// matches_[k]: how many tokens before the one that is k from the end are the same as at the end, at most `most`.
// This is the Z function of the reversed text. Source: Gusfield 1997.
void Dry::find_repetitions(std::span<const int32_t> text, size_t most) {
    const size_t n = text.size();
    const auto reversed = [&](size_t i) { return text[n - 1 - i]; };
    matches_.assign(n, 0);
    size_t begin = 0, end = 0;  // of the match that reaches farthest
    for (size_t k = 1; k < n; ++k) {
        size_t length = k < end ? std::min(end - k, static_cast<size_t>(matches_[k - begin])) : 0;
        while (k + length < n && reversed(length) == reversed(k + length)) ++length;
        matches_[k] = static_cast<int32_t>(length);
        if (k + length > end) begin = k, end = k + length;
    }
    for (int32_t& each : matches_) each = std::min(each, static_cast<int32_t>(most));
}

void Dry::apply(std::span<float> logits) {
    if (!active()) return;
    const size_t n = last_n_ < 0 ? tokens_.size() : std::min(tokens_.size(), static_cast<size_t>(last_n_));
    const std::span<const int32_t> text = std::span(tokens_).last(n);
    const std::span<const char> breaks = std::span(is_breaker_).last(n);
    size_t most = 0;  // tokens since the last breaker
    while (most < n && breaks[n - 1 - most] == 0) ++most;
    if (n < 2 || most < allowed_) return;
    find_repetitions(text, most);
    lengths_.clear();
    for (size_t k = 1; k < n; ++k) {
        const size_t follower = n - k;
        if (matches_[k] < static_cast<int32_t>(std::max<size_t>(1, allowed_)) || breaks[follower] != 0) continue;
        int32_t& length = lengths_[text[follower]];
        length = std::max(length, matches_[k]);
    }
    for (const auto& [token, length] : lengths_) {
        if (token < 0 || static_cast<size_t>(token) >= logits.size()) continue;
        const double exponent = static_cast<double>(length) - static_cast<double>(allowed_);
        const double penalty = static_cast<double>(multiplier_) * std::pow(static_cast<double>(base_), exponent);
        logits[static_cast<size_t>(token)] -= static_cast<float>(std::min(penalty, most_penalty));
    }
}

}  // namespace quern
