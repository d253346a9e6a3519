#include "sampling/penalties.h"

#include <limits>

namespace quern {

Penalties::Penalties(const SamplingParams& params)
    : repeat_(params.repeat_penalty), presence_(params.presence_penalty), frequency_(params.frequency_penalty),
      last_n_(params.repeat_last_n < 0 ? std::numeric_limits<int64_t>::max() : params.repeat_last_n) {
    if (repeat_ == 1.0f && presence_ == 0.0f && frequency_ == 0.0f) last_n_ = 0;
}

void Penalties::accept(TokenId token) {
    if (last_n_ == 0) return;
    recent_.push_back(token.value);
    ++counts_[token.value];
    if (static_cast<int64_t>(recent_.size()) <= last_n_) return;
    const auto oldest = counts_.find(recent_.front());
    if (--oldest->second == 0) counts_.erase(oldest);
    recent_.pop_front();
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
