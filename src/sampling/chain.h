// One request's sampler: the filters in order, then the draw.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/candidates.h"
#include "sampling/dry.h"
#include "sampling/mirostat.h"
#include "sampling/params.h"
#include "sampling/penalties.h"
#include "text/tokenizer/tokenizer.h"

namespace quern {

/// Not for concurrent use. With a seed, the same logits give the same tokens; without the samplers that take logarithms (typical, dynamic
/// temperature, Mirostat), on every platform.
class Sampler {
  public:
    /// `never_sampled`: ids that are left out always. `tokenizer`: for the texts of DRY's breakers and the end tokens of min_tokens;
    /// without it there are none. It must outlive this. REQUIRES: validate(params) passed.
    Sampler(const SamplingParams& params, std::span<const TokenId> never_sampled, const Tokenizer* tokenizer = nullptr);

    /// Remembers a token of the prompt or the answer, for penalties and DRY.
    void accept(TokenId token);

    /// The next token. Logits that are NaN or infinite are survived: such a token is not chosen unless nothing else is left.
    /// Cost: a few passes over the vocabulary; no sort of all of it, but for typical and Mirostat. After the first call it takes no memory,
    /// but for DRY.
    TokenId sample(std::span<const float> logits);

  private:
    double next_unit();
    TokenId first_allowed() const;
    void forbid();
    bool is_greedy() const;
    size_t run_logit_stages();
    void run_stage(SamplerStage stage);
    void adjust(SamplerStage stage);
    void filter(SamplerStage stage);
    void apply_temperature();
    TokenId draw_one();

    SamplingParams params_;
    const Tokenizer* tokenizer_;
    std::vector<TokenId> never_sampled_;  // in order
    std::vector<TokenId> end_tokens_;     // only if min_tokens wants them
    Penalties penalties_;
    Dry dry_;
    Mirostat mirostat_;
    uint64_t seed_;
    uint64_t n_draws_ = 0;
    int64_t n_sampled_ = 0;
    std::vector<float> logits_;  // the adjusted copy
    std::vector<Candidate> candidates_, scratch_;
    bool weighed_ = false;      // candidates_ have weights for temperature 1
    float temperature_ = 1.0f;  // of the draw
};

}  // namespace quern
