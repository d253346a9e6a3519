#include "engine/output_channel.h"

#include <utility>

#include "base/error.h"
#include "engine/failure.h"

namespace quern {

void OutputChannel::push(Event event, const GenerationStats& stats) {
    {
        const std::lock_guard lock(mutex_);
        events_.tokens.push_back(std::move(event));
        stats_ = stats;
    }
    notify();
}

void OutputChannel::finish(FinishReason reason, const GenerationStats& stats, std::exception_ptr failure) noexcept {
    {
        const std::lock_guard lock(mutex_);
        events_.finish = reason;
        stats_ = stats;
        failure_ = std::move(failure);
    }
    notify();
}

void OutputChannel::notify() noexcept {
    arrived_.notify_all();
    if (!on_output_) return;
    try {
        on_output_();
    } catch (...) {
        if (!std::exchange(has_thrown_, true)) log_failure("a request's callback failed", std::current_exception());
    }
}

void OutputChannel::take(bool wait, Events& into) {
    into.tokens.clear();
    into.finish.reset();
    std::unique_lock lock(mutex_);
    if (wait) arrived_.wait(lock, [&] { return events_.finish || !events_.tokens.empty(); });
    std::swap(events_, into);
}

std::exception_ptr OutputChannel::failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

GenerationStats OutputChannel::stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
}

ChannelGeneration::ChannelGeneration(std::shared_ptr<OutputChannel> channel, std::shared_ptr<const Tokenizer> tokenizer, OutputEnds ends,
                                     bool at_start, std::function<void()> wake_engine)
    : channel_(std::move(channel)),
      tokenizer_(std::move(tokenizer)),
      detokenizer_(*tokenizer_, at_start),
      stops_(std::move(ends.stops)),
      line_time_(ends.line_time),
      wake_engine_(std::move(wake_engine)) {}

ChannelGeneration::~ChannelGeneration() {
    if (!finished_) cancel();
}

void ChannelGeneration::cancel() noexcept {
    channel_->cancel();
    wake_engine_();
}

std::optional<OutputDelta> ChannelGeneration::poll() {
    if (finished_) return std::nullopt;
    channel_->take(false, taken_);
    if (taken_.tokens.empty() && !taken_.finish) return std::nullopt;
    return to_delta(taken_);
}

OutputDelta ChannelGeneration::next() {
    QUERN_CHECK(!finished_);
    channel_->take(true, taken_);
    return to_delta(taken_);
}

// After a token with this text.
bool ChannelGeneration::is_late(std::string_view text) {
    if (line_time_.count() == 0) return false;
    const auto now = std::chrono::steady_clock::now();
    if (!first_token_) first_token_ = now;
    has_line_ |= text.find('\n') != std::string_view::npos;
    return has_line_ && now - *first_token_ > line_time_;
}

void ChannelGeneration::end_early(OutputDelta& delta, FinishReason reason) {
    cancel();
    finished_ = true;
    delta.finish = reason;
    delta.stop = stops_.match();
}

OutputDelta ChannelGeneration::to_delta(OutputChannel::Events& events) {
    OutputDelta delta;
    for (OutputChannel::Event& event : events.tokens) {
        const std::string text = detokenizer_.push(event.token);
        delta.text += stops_.push(text);
        delta.tokens.push_back({event.token, tokenizer_->token_bytes(event.token), std::move(event.logprobs)});
        if (stops_.stopped()) {
            end_early(delta, FinishReason::stop);
            return delta;
        }
        if (!is_late(text)) continue;
        delta.text += stops_.push(detokenizer_.finish());
        delta.text += stops_.finish();
        end_early(delta, FinishReason::length);
        return delta;
    }
    if (events.finish) {
        finished_ = true;
        delta.text += stops_.push(detokenizer_.finish());
        delta.text += stops_.finish();
        delta.finish = stops_.stopped() ? FinishReason::stop : *events.finish;
        delta.stop = stops_.match();
    }
    return delta;
}

}  // namespace quern
