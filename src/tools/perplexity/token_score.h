// What a model's logits say about the token that really came next, alone and beside those of another model.
#pragma once

#include <cstddef>
#include <span>

#include "text/token.h"

namespace quern {

/// -ln p(actual). @param logits  [n_vocab], raw  @return infinite or NaN where the logits are
double negative_log_likelihood(std::span<const float> logits, TokenId actual);

/// One token under a base model and under the model at hand.
struct TokenComparison {
    double base_nll = 0;       ///< -ln p_base(actual)
    double nll = 0;            ///< -ln p(actual)
    double kl_divergence = 0;  ///< sum over the vocabulary of p_base ln(p_base / p), in nats
    double p_difference = 0;   ///< p(actual) - p_base(actual)
    bool same_top = false;     ///< both have the same likeliest token
};

/// @param base    [n_vocab], log probabilities of the base up to a constant; -infinity: at most `least`, and without a share in the
/// divergence
/// @param logits  [n_vocab], raw
TokenComparison compare_distributions(std::span<const float> base, float least, std::span<const float> logits, TokenId actual);

/// A mean that knows how sure it is.
class RunningMean {
  public:
    void add(double value) noexcept;
    size_t n() const noexcept { return n_; }
    double mean() const noexcept { return mean_; }
    /// Standard error of the mean; 0 for fewer than two values.
    double error() const noexcept;

  private:
    size_t n_ = 0;
    double mean_ = 0, squares_ = 0;  // Welford: squares_ is the sum of squared distances from the mean
};

}  // namespace quern
