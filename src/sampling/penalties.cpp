#include "sampling/penalties.h"

namespace quern {

Penalties::Penalties(const SamplingParams& params)
    : repeat_(params.repeat_penalty),
      presence_(params.presence_penalty),
      frequency_(params.frequency_penalty),
      active_(params.repeat_last_n != 0 && (repeat_ != 1.0f || presence_ != 0.0f || frequency_ != 0.0f)),
      last_n_(params.repeat_last_n < 0 ? 0 : static_cast<size_t>(params.repeat_last_n)) {}

void Penalties::accept(TokenId token) {
    if (!active_) return;
    if (last_n_ == 0 || recent_.size() < last_n_) {
        if (last_n_ != 0) recent_.push_back(token.value);
        ++counts_[token.value];
        return;
    }
    replace(recent_[oldest_], token.value);
    recent_[oldest_] = token.value;
    oldest_ = (oldest_ + 1) % last_n_;
}

// The node of a token that leaves for good serves the new one.
void Penalties::replace(int32_t old_token, int32_t new_token) {
    if (old_token == new_token) return;
    const auto old_count = counts_.find(old_token), new_count = counts_.find(new_token);
    const bool gone = --old_count->second == 0;
    if (new_count != counts_.end()) {
        ++new_count->second;
        if (gone) counts_.erase(old_count);
    } else if (gone) {
        auto node = counts_.extract(old_count);
        node.key() = new_token;
        node.mapped() = 1;
        counts_.insert(std::move(node));
    } else {
        counts_.emplace(new_token, 1);
    }
}

void Penalties::apply(std::span<float> logits) const {
    for (const auto& [token, count] : counts_) {
        if (token < 0 || static_cast<size_t>(token) >= logits.size()) continue;
        float& logit = logits[static_cast<size_t>(token)];
        logit = logit > 0 ? logit / repeat_ : logit * repeat_;
        logit -= static_cast<float>(count) * frequency_ + presence_;
    }
}

}  // namespace quern
