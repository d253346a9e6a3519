// Repetition, presence and frequency penalties over the last tokens, prompt included, as llama.cpp defines them.
// Source: Keskar et al. 2019 (CTRL) for the repetition penalty; OpenAI's API for the other two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "sampling/params.h"

namespace quern {

class Penalties {
  public:
    explicit Penalties(const SamplingParams& params);

    /// Remembers a token of the prompt or the answer. Takes little or no memory once repeat_last_n tokens are remembered.
    void accept(TokenId token);
    /// logit > 0 ? logit / repeat : logit * repeat, then - count * frequency - presence, for each remembered token.
    void apply(std::span<float> logits) const;

  private:
    void replace(int32_t old_token, int32_t new_token);

    float repeat_, presence_, frequency_;
    bool active_;                  // some penalty is set
    size_t last_n_;                // 0: all
    std::vector<int32_t> recent_;  // a ring of last_n_ once it is full; not used when all are remembered
    size_t oldest_ = 0;            // in a full ring
    std::unordered_map<int32_t, int32_t> counts_;
};

}  // namespace quern
