// Repetition, presence and frequency penalties over the last tokens, prompt included, as llama.cpp defines them.
// Source: Keskar et al. 2019 (CTRL) for the repetition penalty; OpenAI's API for the other two.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>

#include "sampling/params.h"

namespace quern {

class Penalties {
  public:
    explicit Penalties(const SamplingParams& params);

    /// Remembers a token of the prompt or the answer.
    void accept(TokenId token);
    /// logit > 0 ? logit / repeat : logit * repeat, then - count * frequency - presence, for each remembered token.
    void apply(std::span<float> logits) const;

  private:
    float repeat_, presence_, frequency_;
    int64_t last_n_;  // 0 when no penalty is set
    std::deque<int32_t> recent_;
    std::unordered_map<int32_t, int32_t> counts_;
};

}  // namespace quern
