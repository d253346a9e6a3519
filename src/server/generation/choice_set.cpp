#include "server/generation/choice_set.h"

#include <algorithm>

#include "server/generation/generation_fields.h"
#include "server/http/errors.h"

namespace quern {

ChoiceSet::ChoiceSet(ChoiceOrder order, const Waker& wake)
    : order_(std::move(order)), metrics_(order_.metrics ? &order_.metrics->model(order_.model->id) : nullptr) {
    try {
        submit_all(wake);
    } catch (const ContextOverflow& overflow) {
        throw ContextOverflow(overflow.what(), order_.prompt_field);
    }
}

ChoiceSet::~ChoiceSet() {
    for (const Choice& choice : choices_)
        if (choice.generation) count_end(choice, Outcome::aborted);
}

void ChoiceSet::submit_all(const Waker& wake) {
    for (const std::vector<TokenId>& prompt : order_.prompts) {
        n_prompt_tokens_ += static_cast<int64_t>(prompt.size());
        for (int i = 0; i < order_.n_each; ++i) {
            Request own = order_.request;
            own.prompt = prompt;
            own.sampling = sampling_of_choice(order_.request.sampling, i);
            own.on_output = wake;
            own.goes_on = !choices_.empty();
            choices_.push_back({.generation = order_.model->engine->submit(std::move(own))});
        }
    }
    n_open_ = choices_.size();
}

int64_t ChoiceSet::n_cached_tokens() const {
    int64_t sum = 0;
    const auto n_each = static_cast<size_t>(order_.n_each);
    for (size_t i = 0; i < choices_.size(); i += n_each) {
        int64_t least = choices_[i].stats.n_cached_tokens;
        for (size_t j = 1; j < n_each; ++j) least = std::min(least, choices_[i + j].stats.n_cached_tokens);
        sum += least;
    }
    return sum;
}

std::vector<ChoiceUpdate> ChoiceSet::poll() {
    std::vector<ChoiceUpdate> updates;
    for (size_t i = 0; i < choices_.size(); ++i) {
        Choice& choice = choices_[i];
        if (choice.is_done) continue;
        std::optional<OutputDelta> delta = choice.generation->poll();
        if (!delta) continue;
        updates.push_back({.index = i});
        take(choice, std::move(*delta), updates.back());
    }
    return updates;
}

void ChoiceSet::take(Choice& choice, OutputDelta delta, ChoiceUpdate& update) {
    if (delta.finish == FinishReason::error) {
        count_end(choice, Outcome::failed);
        choice.is_done = true;
        const auto failed = std::move(choice.generation);
        std::rethrow_exception(failed->failure());
    }
    if (delta.finish == FinishReason::cancelled) throw ApiError("the model is being unloaded", {.status = 503, .code = "unloaded"});
    n_completion_tokens_ += static_cast<int64_t>(delta.tokens.size());
    count_tokens(choice, delta.tokens.size());
    update.text = std::move(delta.text);
    update.finish = delta.finish;
    update.stop = std::move(delta.stop);
    choice.n_text_bytes += update.text.size();
    for (TokenOutput& token : delta.tokens) {
        // SentencePiece's leading space belongs to the first token, but not to the text.
        if (choice.n_token_bytes == 0 && choice.held.empty() && token.text.starts_with(' ') && !update.text.empty() &&
            update.text.front() != ' ')
            token.text.erase(0, 1);
        choice.held.push_back(std::move(token));
    }
    choice.is_done = delta.finish.has_value();
    release_tokens(choice, update);
    if (!choice.is_done) return;
    choice.stats = choice.generation->stats();
    count_end(choice, Outcome::finished);
    choice.generation.reset();
    --n_open_;
}

// Several tokens that arrive at once share the time since the last.
void ChoiceSet::count_tokens(Choice& choice, size_t n_tokens) {
    if (metrics_ == nullptr || n_tokens == 0) return;
    const auto now = std::chrono::steady_clock::now();
    if (choice.last_token)
        metrics_->add_tokens(static_cast<int64_t>(n_tokens), std::chrono::duration<double>(now - *choice.last_token).count());
    choice.last_token = now;
}

void ChoiceSet::count_end(const Choice& choice, Outcome outcome) const {
    if (metrics_ != nullptr) metrics_->add_generation(choice.generation->stats(), outcome);
}

// A token goes out once all its text has. At the end, only the tokens of a stop string stay behind.
void ChoiceSet::release_tokens(Choice& choice, ChoiceUpdate& update) const {
    const bool keep_unsent = !choice.is_done || !update.stop.empty();
    while (!choice.held.empty()) {
        const size_t end = choice.n_token_bytes + choice.held.front().text.size();
        const bool is_out = choice.is_done ? choice.n_token_bytes < choice.n_text_bytes : end <= choice.n_text_bytes;
        if (keep_unsent && !is_out) break;
        choice.n_token_bytes = end;
        update.tokens.push_back(std::move(choice.held.front()));
        choice.held.pop_front();
    }
}

const char* finish_name(FinishReason reason) { return reason == FinishReason::length ? "length" : "stop"; }

}  // namespace quern
