#include "server/openai/completions.h"

#include "server/http/json_body.h"
#include "server/openai/completion_request.h"
#include "server/openai/response_parts.h"

namespace quern {
namespace {

/// What both kinds of answer need.
class CompletionParts {
  public:
    CompletionParts(const ServedModel& model, CompletionRequest request, const Waker& wake)
        : header_(make_header(model, "cmpl-", "text_completion")),
          fields_(std::move(request.fields)),
          echoes_(std::move(request.echoes)),
          choices_(*model.engine, request.prompts, fields_.request, fields_.n_choices, wake),
          offsets_(choices_.size(), 0) {}

  protected:
    const std::string& echo_of(size_t choice) const {
        static const std::string nothing;
        return echoes_.empty() ? nothing : echoes_[choice / static_cast<size_t>(fields_.n_choices)];
    }

    bool wants_logprobs() const { return fields_.request.n_logprobs >= 0; }
    const Tokenizer& tokenizer() const { return header_.model->engine->tokenizer(); }

    Json choice_json(size_t index, const std::string& text, const std::vector<TokenOutput>& tokens, std::optional<FinishReason> finish) {
        return {{"index", index},
                {"text", text},
                {"logprobs", wants_logprobs() ? completion_logprobs(tokenizer(), tokens, offsets_[index]) : Json(nullptr)},
                {"finish_reason", finish ? Json(finish_name(*finish)) : Json(nullptr)}};
    }

    const ResponseHeader header_;
    const GenerationFields fields_;
    const std::vector<std::string> echoes_;
    ChoiceSet choices_;
    std::vector<int64_t> offsets_;  // by choice: characters of the tokens sent
};

class CompletionResponse final : public PendingResponse, CompletionParts {
  public:
    CompletionResponse(const ServedModel& model, CompletionRequest request, const Waker& wake)
        : CompletionParts(model, std::move(request), wake), collected_(choices_.size()) {
        for (size_t i = 0; i < collected_.size(); ++i) collected_[i].text = echo_of(i);
    }

    std::optional<HttpResponse> poll() override {
        for (ChoiceUpdate& update : choices_.poll()) {
            ChoiceUpdate& whole = collected_[update.index];
            whole.text += update.text;
            if (wants_logprobs()) std::move(update.tokens.begin(), update.tokens.end(), std::back_inserter(whole.tokens));
            whole.finish = update.finish;
        }
        if (!choices_.is_done()) return std::nullopt;
        Json json = header_.json();
        for (size_t i = 0; i < collected_.size(); ++i)
            json["choices"].push_back(choice_json(i, collected_[i].text, collected_[i].tokens, collected_[i].finish));
        json["usage"] = usage_json(choices_);
        return json_response(json);
    }

  private:
    std::vector<ChoiceUpdate> collected_;
};

class CompletionStream final : public EventSource, CompletionParts {
  public:
    using CompletionParts::CompletionParts;

    EventBatch poll() override {
        EventBatch batch;
        if (!has_begun_) {
            has_begun_ = true;
            for (size_t i = 0; i < choices_.size(); ++i)
                if (!echo_of(i).empty()) batch.text += chunk(choice_json(i, echo_of(i), {}, std::nullopt));
        }
        for (const ChoiceUpdate& update : choices_.poll()) {
            if (!update.text.empty() || (wants_logprobs() && !update.tokens.empty()))
                batch.text += chunk(choice_json(update.index, update.text, update.tokens, std::nullopt));
            if (update.finish) batch.text += chunk(choice_json(update.index, "", {}, update.finish));
        }
        if (!choices_.is_done()) return batch;
        if (fields_.include_usage) {
            Json json = header_.json();
            json["usage"] = usage_json(choices_);
            batch.text += event(json);
        }
        batch.text += done_event;
        batch.is_last = true;
        return batch;
    }

  private:
    std::string chunk(Json choice) const {
        Json json = header_.json();
        json["choices"].push_back(std::move(choice));
        if (fields_.include_usage) json["usage"] = nullptr;
        return event(json);
    }

    bool has_begun_ = false;
};

}  // namespace

Answer answer_completion(const ModelStore& models, const HttpRequest& request, const Waker& wake) {
    const Json body = parse_json_body(request.body);
    const ServedModel& model = models.find(model_name(body));
    CompletionRequest parsed = read_completion_request(body, *model.engine);
    if (parsed.fields.stream) return std::make_unique<CompletionStream>(model, std::move(parsed), wake);
    return std::make_unique<CompletionResponse>(model, std::move(parsed), wake);
}

}  // namespace quern
