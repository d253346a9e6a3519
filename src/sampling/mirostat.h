// Mirostat: keeps the surprise of the text at a target by cutting off what would surprise too much, and correcting the limit by what came.
// Source: Basu et al. 2021; version 1 estimates Zipf's exponent from the likeliest 100, version 2 cuts by the surprise itself.
#pragma once

#include <vector>

#include "sampling/candidates.h"
#include "sampling/params.h"

namespace quern {

class Mirostat {
  public:
    explicit Mirostat(const SamplingParams& params)
        : version_(params.mirostat),
          target_(static_cast<double>(params.mirostat_tau)),
          rate_(static_cast<double>(params.mirostat_eta)),
          limit_(2.0 * static_cast<double>(params.mirostat_tau)) {}

    bool active() const noexcept { return version_ != 0; }
    /// Leaves those that do not surprise too much, at least one. REQUIRES: weighed with the temperature.
    void apply(std::vector<Candidate>& candidates, std::vector<Candidate>& scratch) const;
    /// Corrects the limit by the chosen one's surprise among those that were left. REQUIRES: weighed with the temperature.
    void chosen(const std::vector<Candidate>& candidates, TokenId token);

  private:
    double most_candidates(const std::vector<Candidate>& sorted) const;

    int version_;
    double target_, rate_, limit_;  // in bits
};

}  // namespace quern
