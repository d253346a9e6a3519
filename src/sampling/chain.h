// One request's sampler: the filters in order, then the draw.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/candidates.h"
#include "sampling/params.h"
#include "sampling/penalties.h"

namespace quern {

/// Not for concurrent use. With a seed, the same logits give the same tokens on every platform.
class Sampler {
  public:
    /// `never_sampled`: ids that are left out always. REQUIRES: validate(params) passed.
    Sampler(const SamplingParams& params, std::span<const TokenId> never_sampled);

    /// Remembers a token of the prompt or the answer, for the penalties.
    void accept(TokenId token) { penalties_.accept(token); }

    /// The next token. Logits that are NaN or infinite are survived: such a token is not chosen unless nothing else is left.
    /// Cost: a few passes over the vocabulary; no sort of all of it. After the first call it takes no memory.
    TokenId sample(std::span<const float> logits);

  private:
    double next_unit();
    TokenId first_allowed() const;

    SamplingParams params_;
    std::vector<TokenId> never_sampled_;  // in order
    Penalties penalties_;
    uint64_t seed_;
    uint64_t n_draws_ = 0;
    std::vector<float> logits_;  // the adjusted copy
    std::vector<Candidate> candidates_, scratch_;
};

}  // namespace quern
