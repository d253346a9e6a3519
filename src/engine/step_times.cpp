#include "engine/step_times.h"

#include <algorithm>

namespace quern {
namespace {

// Weights are decoded once for any number of tokens; below so many, that is most of the time.
constexpr int64_t least_chunk = 32;

// With it the longest pauses stay below three times the usual ones.
constexpr double most_share = 1.75;

}  // namespace

void StepTimes::prompt_step_took(int64_t index, int64_t n_tokens, double seconds) {
    const auto at = static_cast<size_t>(index);
    if (prompt_steps_.size() <= at) prompt_steps_.resize(at + 1);
    prompt_steps_[at] = smoothed(prompt_steps_[at], seconds / static_cast<double>(std::max(n_tokens, least_chunk)));
}

void StepTimes::set_load(int n_prompts, int n_answers) {
    prompts_share_ = std::clamp(static_cast<double>(n_prompts) / std::max(1, n_answers), 1.0, most_share);
}

double StepTimes::expected(int64_t index, int64_t n_tokens) const {
    const auto at = static_cast<size_t>(index);
    return at < prompt_steps_.size() ? prompt_steps_[at] * static_cast<double>(std::max(n_tokens, least_chunk)) : 0;
}

int64_t StepTimes::chunk_tokens(int64_t most) const {
    const double slowest = prompt_steps_.empty() ? 0 : *std::max_element(prompt_steps_.begin(), prompt_steps_.end());
    if (slowest <= 0) return std::min(most, first_chunk);
    const double tokens = time_for_prompts() / slowest;
    return std::clamp(tokens < 1e9 ? static_cast<int64_t>(tokens) : most, std::min(least_chunk, most), most);
}

}  // namespace quern
