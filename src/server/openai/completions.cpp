#include "server/openai/completions.h"

#include <algorithm>
#include <numeric>

#include "server/generation/evaluation_series.h"
#include "server/generation/prompt_scores.h"
#include "server/openai/completion_request.h"
#include "server/openai/response_parts.h"

namespace quern {
namespace {

using ScoreList = std::vector<std::shared_ptr<PromptScores>>;  // by prompt

double mean_logprob(const ChoiceUpdate& choice) {
    double sum = 0;
    for (const TokenOutput& token : choice.tokens) sum += token.logprobs ? static_cast<double>(token.logprobs->logprob) : 0.0;
    return choice.tokens.empty() ? 0.0 : sum / static_cast<double>(choice.tokens.size());
}

class CompletionWording final : public Wording {
  public:
    /// @param scores  of the prompts, for an echo with log probabilities; else none
    CompletionWording(ModelLease model, CompletionRequest& request, ScoreList scores)
        : header_(make_header(std::move(model), "cmpl-", "text_completion")),
          echoes_(std::move(request.echoes)),
          scores_(std::move(scores)),
          n_(static_cast<size_t>(request.fields.n_choices)),
          best_of_(static_cast<size_t>(request.best_of)),
          n_logprobs_(request.n_logprobs),
          include_usage_(request.fields.include_usage),
          offsets_(request.prompts.size() * best_of_, 0),
          n_tokens_(offsets_.size(), 0) {}

    Json response(const ChoiceSet& choices, std::vector<ChoiceUpdate>& whole) override {
        Json json = header_.json();
        for (size_t prompt = 0; prompt * best_of_ < whole.size(); ++prompt) {
            for (const size_t i : best_of(whole, prompt)) {
                ChoiceUpdate& choice = whole[i];
                std::vector<TokenOutput> tokens = echoed_tokens(i);
                std::move(choice.tokens.begin(), choice.tokens.end(), std::back_inserter(tokens));
                add_end(i, tokens, choice);
                json["choices"].push_back(choice_json(choices, i, echo_of(i) + choice.text, tokens, choice.finish));
                json["choices"].back()["index"] = json["choices"].size() - 1;
            }
        }
        json["usage"] = usage_json(choices);
        json["timings"] = timings_json(choices);
        return json;
    }

    std::string begin(const ChoiceSet& choices) override {
        std::string text;
        for (size_t i = 0; i < choices.size(); ++i)
            if (!echo_of(i).empty()) text += chunk(choice_json(choices, i, echo_of(i), echoed_tokens(i), std::nullopt));
        return text;
    }

    std::string piece(const ChoiceSet& choices, const ChoiceUpdate& update) override {
        std::string text;
        if (!wants_logprobs()) {
            if (!update.text.empty()) text = plain_chunk(update.index, update.text, "null");
            if (update.finish) text += plain_chunk(update.index, "", json_string(finish_name(*update.finish)));
            return text;
        }
        std::vector<TokenOutput> tokens = update.tokens;
        n_tokens_[update.index] += tokens.size();
        if (update.finish && n_tokens_[update.index] == 0) add_end(update.index, tokens, update);
        if (!update.text.empty() || !tokens.empty()) text += chunk(choice_json(choices, update.index, update.text, tokens, std::nullopt));
        if (update.finish) text += chunk(choice_json(choices, update.index, "", {}, update.finish));
        return text;
    }

    std::string end(const ChoiceSet& choices) override {
        std::string text;
        if (include_usage_) {
            Json json = header_.json();
            json["usage"] = usage_json(choices);
            text = event(json);
        }
        return text + done_event;
    }

  private:
    bool wants_logprobs() const { return n_logprobs_ >= 0; }

    std::string echo_of(size_t choice) const { return echoes_.empty() ? std::string() : echoes_[choice / best_of_]; }
    std::vector<TokenOutput> echoed_tokens(size_t choice) const {
        return scores_.empty() ? std::vector<TokenOutput>() : scores_[choice / best_of_]->tokens;
    }

    // Who scores a prompt takes the last entry off, as that of a token made: an answer that is nothing but its end has one too.
    void add_end(size_t choice, std::vector<TokenOutput>& tokens, const ChoiceUpdate& update) const {
        if (scores_.empty() || update.finish != FinishReason::stop || !update.text.empty()) return;
        const PromptScores& scores = *scores_[choice / best_of_];
        if (tokens.size() > scores.tokens.size()) return;
        tokens.push_back({.token = scores.likeliest, .text = {}, .logprobs = scores.next});
    }

    /// The likeliest n of a prompt's choices, likeliest first; all of them in order when no more were made.
    std::vector<size_t> best_of(const std::vector<ChoiceUpdate>& whole, size_t prompt) const {
        std::vector<size_t> order(best_of_);
        std::iota(order.begin(), order.end(), prompt * best_of_);
        if (best_of_ > n_)
            std::stable_sort(order.begin(), order.end(),
                             [&](size_t a, size_t b) { return mean_logprob(whole[a]) > mean_logprob(whole[b]); });
        order.resize(n_);
        return order;
    }

    Json choice_json(const ChoiceSet& choices, size_t index, const std::string& text, const std::vector<TokenOutput>& tokens,
                     std::optional<FinishReason> finish) {
        return {{"index", index},
                {"text", text},
                {"logprobs", wants_logprobs() ? completion_logprobs(choices.tokenizer(), tokens, offsets_[index]) : Json(nullptr)},
                {"finish_reason", finish ? Json(finish_name(*finish)) : Json(nullptr)}};
    }

    std::string chunk(const Json& choice) const { return header_.chunk(dump(choice), include_usage_); }

    std::string plain_chunk(size_t index, std::string_view text, std::string_view finish) const {
        std::string choice = "{\"index\":";
        append_json_string(choice.append(std::to_string(index)).append(",\"text\":"), text);
        choice.append(",\"logprobs\":null,\"finish_reason\":").append(finish).append("}");
        return header_.chunk(choice, include_usage_);
    }

    const ResponseHeader header_;
    const std::vector<std::string> echoes_;
    const ScoreList scores_;
    const size_t n_, best_of_;
    const int n_logprobs_;
    const bool include_usage_;
    std::vector<int64_t> offsets_;  // by choice: characters of the tokens sent
    std::vector<size_t> n_tokens_;  // by choice: sent
};

Answer generate(ApiContext& api, const ModelLease& model, CompletionRequest& parsed, ScoreList scores, const Waker& wake) {
    const bool is_stream = parsed.fields.stream;
    auto wording = std::make_unique<CompletionWording>(model, parsed, std::move(scores));
    ChoiceOrder order{.model = model,
                      .prompts = std::move(parsed.prompts),
                      .request = std::move(parsed.fields.request),
                      .n_each = parsed.best_of,
                      .metrics = &api.metrics};
    return answer_generation(std::move(order), std::move(wording), is_stream, wake);
}

Answer make_completion(const ModelRequest& asked) {
    auto parsed = std::make_shared<CompletionRequest>(read_completion_request(asked.body, *asked.model->engine));
    if (parsed->echoes.empty() || parsed->n_logprobs < 0) return generate(asked.api, asked.model, *parsed, {}, asked.wake);
    ScoreList scores;
    for (size_t i = 0; i < parsed->prompts.size(); ++i) scores.push_back(std::make_shared<PromptScores>());
    const auto start = [model = asked.model, parsed, scores, wake = asked.wake](size_t i) {
        return score_prompt(*model->engine, parsed->prompts[i], parsed->n_logprobs, i > 0, scores[i], wake);
    };
    const auto series = std::make_shared<EvaluationSeries>(scores.size(), 1, start);
    const auto make = [&api = asked.api, model = asked.model, parsed, scores, series, wake = asked.wake] {
        series->check();
        return generate(api, model, *parsed, scores, wake);
    };
    return answer_when([series] { return series->is_done(); }, make, parsed->fields.stream);
}

}  // namespace

Answer answer_completion(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_completion);
}

}  // namespace quern
