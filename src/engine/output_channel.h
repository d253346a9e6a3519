// The pipe between the engine thread and the consumer of a request: token ids on one side, text on the other.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "text/stop_matcher.h"
#include "text/tokenizer/tokenizer.h"

namespace quern {

/// Shared by the engine and the consumer's Generation.
class OutputChannel {
  public:
    struct Event {
        TokenId token;
        std::optional<TokenLogprobs> logprobs;
    };
    struct Events {
        std::vector<Event> tokens;
        std::optional<FinishReason> finish;
    };

    explicit OutputChannel(std::function<void()> on_output) : on_output_(std::move(on_output)) {}

    /// Engine side. `stats` is what the consumer will see. What on_output throws is logged once, and changes nothing.
    void push(Event event, const GenerationStats& stats);
    void finish(FinishReason reason, const GenerationStats& stats, std::exception_ptr failure = nullptr) noexcept;

    /// Consumer side: everything since the last take. `wait` blocks until there is something. What `into` held is dropped and its memory
    /// used again, so that no token makes one thread allocate what another frees.
    void take(bool wait, Events& into);
    Events take(bool wait) {
        Events events;
        take(wait, events);
        return events;
    }
    void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
    bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
    std::exception_ptr failure() const;
    GenerationStats stats() const;

  private:
    void notify() noexcept;

    const std::function<void()> on_output_;
    bool has_thrown_ = false;  // on_output_; the engine thread's
    std::atomic<bool> cancelled_{false};
    mutable std::mutex mutex_;
    std::condition_variable arrived_;
    Events events_;  // guarded by mutex_, like all below
    GenerationStats stats_;
    std::exception_ptr failure_;
};

/// What ends an output, besides the engine.
struct OutputEnds {
    std::vector<std::string> stops;
    std::chrono::milliseconds line_time{0};  ///< as in Request
};

/// Reads a channel, detokenizes, and watches for stop strings, on the consumer's thread.
class ChannelGeneration final : public Generation {
  public:
    /// `wake_engine` is called after a cancel, so that the engine drops the request soon.
    /// @param at_start  the output begins a text: SentencePiece's leading space is dropped
    ChannelGeneration(std::shared_ptr<OutputChannel> channel, std::shared_ptr<const Tokenizer> tokenizer, OutputEnds ends, bool at_start,
                      std::function<void()> wake_engine);
    ~ChannelGeneration() override;

    std::optional<OutputDelta> poll() override;
    OutputDelta next() override;
    void cancel() noexcept override;
    std::exception_ptr failure() const override { return channel_->failure(); }
    GenerationStats stats() const override { return channel_->stats(); }

  private:
    OutputDelta to_delta(OutputChannel::Events& events);
    bool is_late(std::string_view text);
    void end_early(OutputDelta& delta, FinishReason reason);

    std::shared_ptr<OutputChannel> channel_;
    const std::shared_ptr<const Tokenizer> tokenizer_;
    StreamingDetokenizer detokenizer_;
    StopMatcher stops_;
    const std::chrono::milliseconds line_time_;
    std::optional<std::chrono::steady_clock::time_point> first_token_;
    bool has_line_ = false;
    std::function<void()> wake_engine_;
    OutputChannel::Events taken_;  // the last
    bool finished_ = false;
};

}  // namespace quern
