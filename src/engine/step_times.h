// How long steps take on this machine, as measured while they run: what a chunk of prompts may take between two tokens of an answer.
#pragma once

#include <cstdint>
#include <vector>

namespace quern {

/// Smoothed times. Belongs to the engine thread.
class StepTimes {
  public:
    /// A step of answers took so long.
    void answers_took(double seconds) { answers_ = smoothed(answers_, seconds); }
    /// Step `index` of the prompts' plan took so long for n_tokens.
    void prompt_step_took(int64_t index, int64_t n_tokens, double seconds);

    /// So many prompts and answers are there now: where more wait for their first token than for their next one, prompts get more time.
    void set_load(int n_prompts, int n_answers);

    /// Time for prompts between two steps of answers: as long as such a step, so that answers keep half of their speed and no pause is much
    /// longer than twice a step; up to 1.75 times as long beside many prompts.
    double time_for_prompts() const { return answers_ > 0 ? prompts_share_ * answers_ : first_guess; }
    /// What step `index` of the prompts' plan will take; 0 when it never ran.
    double expected(int64_t index, int64_t n_tokens) const;
    /// The largest chunk none of whose steps is expected to take more than time_for_prompts(), at most `most`.
    int64_t chunk_tokens(int64_t most) const;

  private:
    static constexpr double first_guess = 0.02;
    static constexpr int64_t first_chunk = 64;  // before anything was measured
    static double smoothed(double old, double now) { return old == 0 ? now : 0.8 * old + 0.2 * now; }

    double answers_ = 0;
    double prompts_share_ = 1;          // time for prompts, in steps of answers
    std::vector<double> prompt_steps_;  // seconds for a token, by step of the plan
};

}  // namespace quern
