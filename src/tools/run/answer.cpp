#include "tools/run/answer.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>

#include "base/error.h"

namespace quern {
namespace {

/// How soon Ctrl-C is noticed while the model thinks.
constexpr auto interrupt_latency = std::chrono::milliseconds(30);

/// Lets the engine's thread wake the one that shows the output. Shared with the callback, which may outlive the answer.
struct Wakeup {
    std::mutex mutex;
    std::condition_variable condition;
    bool due = false;

    void wake() {
        {
            const std::lock_guard lock(mutex);
            due = true;
        }
        condition.notify_one();
    }

    void wait() {
        std::unique_lock lock(mutex);
        condition.wait_for(lock, interrupt_latency, [this] { return due; });
        due = false;
    }
};

/// Takes deltas apart until a reverse prompt shows up.
class Collector {
  public:
    Collector(Answer& answer, const AnswerSink& sink) : answer_(answer), sink_(sink) {
        for (const std::string& each : sink.reverse_prompts) longest_ = std::max(longest_, each.size());
    }

    /// True when a reverse prompt ended the answer.
    bool take(const OutputDelta& delta) {
        const size_t shown = answer_.text.size();
        const size_t end = append(answer_.text, delta.text);
        const bool ended = end != std::string::npos;
        if (ended) answer_.text.resize(end);
        sink_.show(std::string_view(answer_.text).substr(shown));
        for (const TokenOutput& token : delta.tokens) {
            answer_.tokens.push_back(token.token);
            if (append(token_text_, token.text) != std::string::npos) break;
        }
        return ended;
    }

  private:
    /// Appends, and says where a reverse prompt that the new text completes ends.
    size_t append(std::string& text, const std::string& more) const {
        const size_t from = text.size() + 1 > longest_ ? text.size() + 1 - longest_ : 0;
        text += more;
        return end_of_first(text, sink_.reverse_prompts, from);
    }

    Answer& answer_;
    const AnswerSink& sink_;
    size_t longest_ = 0;
    std::string token_text_;  // bytes of the tokens: what `text` is made of
};

}  // namespace

size_t end_of_first(std::string_view text, std::span<const std::string> needles, size_t from) {
    size_t end = std::string_view::npos;
    for (const std::string& needle : needles) {
        const size_t at = text.find(needle, from);
        if (at != std::string_view::npos) end = std::min(end, at + needle.size());
    }
    return end;
}

Answer stream_answer(Engine& engine, Request request, const AnswerSink& sink, const InterruptGuard& interrupts) {
    const auto wakeup = std::make_shared<Wakeup>();
    request.on_output = [wakeup] { wakeup->wake(); };
    const std::shared_ptr<Generation> generation = engine.submit(std::move(request));
    if (sink.accepted) sink.accepted();
    Answer answer;
    Collector collector(answer, sink);
    bool ended_by_prompt = false;
    while (true) {
        const std::optional<OutputDelta> delta = generation->poll();
        if (delta) {
            if (!ended_by_prompt && !answer.interrupted && collector.take(*delta)) {
                ended_by_prompt = true;
                generation->cancel();
            }
            if (delta->finish) {
                answer.finish = ended_by_prompt ? FinishReason::stop : *delta->finish;
                break;
            }
        } else {
            wakeup->wait();
        }
        if (interrupts.requested() && !answer.interrupted) {
            answer.interrupted = true;
            generation->cancel();
        }
    }
    answer.stats = generation->stats();
    if (answer.finish == FinishReason::error) std::rethrow_exception(generation->failure());
    return answer;
}

void SpeedReport::add(const GenerationStats& stats) {
    total_.n_prompt_tokens += stats.n_prompt_tokens;
    total_.n_generated_tokens += stats.n_generated_tokens;
    total_.prompt_ms += stats.prompt_ms;
    total_.generation_ms += stats.generation_ms;
    n_intervals_ += std::max<int64_t>(0, stats.n_generated_tokens - 1);
}

std::string SpeedReport::line() const {
    const auto rate = [](int64_t n, double ms) { return ms > 0 ? static_cast<double>(n) * 1000.0 / ms : 0.0; };
    char text[160];
    std::snprintf(text, sizeof text, "prompt %lld tokens, %.1f tok/s; answer %lld tokens, %.1f tok/s",
                  static_cast<long long>(total_.n_prompt_tokens), rate(total_.n_prompt_tokens, total_.prompt_ms),
                  static_cast<long long>(total_.n_generated_tokens), rate(n_intervals_, total_.generation_ms));
    return text;
}

}  // namespace quern
