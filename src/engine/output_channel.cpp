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

ChannelGeneration::ChannelGeneration(std::shared_ptr<OutputChannel> channel, std::shared_ptr<const Tokenizer> tokenizer,
                                     std::vector<std::string> stops, bool at_start, std::function<void()> wake_engine)
    : channel_(std::move(channel)),
      tokenizer_(std::move(tokenizer)),
      detokenizer_(*tokenizer_, at_start),
      stops_(std::move(stops)),
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

OutputDelta ChannelGeneration::to_delta(OutputChannel::Events& events) {
    OutputDelta delta;
    for (OutputChannel::Event& event : events.tokens) {
        delta.text += stops_.push(detokenizer_.push(event.token));
        delta.tokens.push_back({event.token, tokenizer_->token_bytes(event.token), std::move(event.logprobs)});
        if (!stops_.stopped()) continue;
        cancel();
        finished_ = true;
        delta.finish = FinishReason::stop;
        delta.stop = stops_.match();
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
