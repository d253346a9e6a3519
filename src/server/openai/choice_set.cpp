#include "server/openai/choice_set.h"

#include "server/http/errors.h"
#include "server/openai/generation_fields.h"

namespace quern {

ChoiceSet::ChoiceSet(Engine& engine, const std::vector<std::vector<TokenId>>& prompts, const Request& request, int n_each,
                     const Waker& wake)
    : n_each_(static_cast<size_t>(n_each)), has_stops_(!request.stop.empty()) {
    for (const std::vector<TokenId>& prompt : prompts) {
        n_prompt_tokens_ += static_cast<int64_t>(prompt.size());
        for (int i = 0; i < n_each; ++i) {
            Request own = request;
            own.prompt = prompt;
            own.sampling = sampling_of_choice(request.sampling, i);
            own.on_output = wake;
            choices_.push_back({.generation = engine.submit(std::move(own))});
        }
    }
    n_open_ = choices_.size();
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
    if (delta.finish == FinishReason::error) throw ApiError(choice.generation->error(), {.status = 500, .code = "server_error"});
    if (delta.finish == FinishReason::cancelled) throw ApiError("the model is being unloaded", {.status = 503, .code = "unloaded"});
    n_completion_tokens_ += static_cast<int64_t>(delta.tokens.size());
    update.text = std::move(delta.text);
    update.finish = delta.finish;
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
    // Of the choices of a prompt, only the first counts, as for the prompt's tokens.
    if (update.index % n_each_ == 0) n_cached_tokens_ += choice.generation->stats().n_cached_tokens;
    choice.generation.reset();
    --n_open_;
}

// A token goes out once all its text has. At the end, only the tokens of a stop string stay behind.
void ChoiceSet::release_tokens(Choice& choice, ChoiceUpdate& update) const {
    const bool keep_unsent = !choice.is_done || (has_stops_ && update.finish == FinishReason::stop);
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
