// One request to the engine, its text shown as it comes, and Ctrl-C to stop it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "tools/run/interrupt.h"

namespace quern {

/// What was generated.
struct Answer {
    std::string text;             ///< as shown
    std::vector<TokenId> tokens;  ///< those that made it
    FinishReason finish = FinishReason::stop;
    bool interrupted = false;  ///< by Ctrl-C
    GenerationStats stats;
};

/// How to take the output. `accepted`, if any, is called once the engine has taken the request and before any output.
/// `reverse_prompts` end the answer after themselves and are part of it, unlike stop strings.
struct AnswerSink {
    std::function<void(std::string_view)> show;
    std::function<void()> accepted = {};
    std::span<const std::string> reverse_prompts = {};
};

/// Runs the request to its end.
/// @throws what Engine::submit throws, and InvalidInput with the engine's own words when the request failed on the way
Answer stream_answer(Engine& engine, Request request, const AnswerSink& sink, const InterruptGuard& interrupts);

/// Where the first of `needles` to be found in `text` ends, looking from `from` on; npos: nowhere.
size_t end_of_first(std::string_view text, std::span<const std::string> needles, size_t from);

/// Adds up the answers of a session for the line at its end.
class SpeedReport {
  public:
    void add(const GenerationStats& stats);
    bool has_any() const noexcept { return total_.n_prompt_tokens > 0; }
    /// "prompt 12 tokens, 340.1 tok/s; answer 64 tokens, 85.2 tok/s"
    std::string line() const;

  private:
    GenerationStats total_;
    int64_t n_intervals_ = 0;  // between generated tokens: what generation_ms spans
};

}  // namespace quern
