// What a perplexity run found, as a table for people and as JSON.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tools/perplexity/token_score.h"

namespace quern {

/// What was measured, and over what.
struct PerplexityRun {
    std::string model;
    int64_t n_ctx = 0, n_windows = 0, n_scored = 0;
    double seconds = 0;

    double tokens_per_second() const { return seconds > 0 ? static_cast<double>(n_windows * n_ctx) / seconds : 0; }
};

/// exp of the mean and its error, by which the logarithm's error is scaled.
struct Perplexity {
    double value = 0, error = 0;
};
Perplexity perplexity_of(const RunningMean& nll);

/// "Final estimate: PPL = 22.4512 +/- 0.35121", as llama.cpp says it.
std::string perplexity_text(const PerplexityRun& run, const RunningMean& nll);
std::string perplexity_json(const PerplexityRun& run, const RunningMean& nll);

/// Both perplexities and their ratio; mean, median and outer percentiles of the divergence; the change of the right token's probability;
/// how often both agree on the likeliest token. @param tokens  at least one
std::string comparison_text(const PerplexityRun& run, std::span<const TokenComparison> tokens);
std::string comparison_json(const PerplexityRun& run, std::span<const TokenComparison> tokens);

}  // namespace quern
