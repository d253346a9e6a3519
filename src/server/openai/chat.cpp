#include "server/openai/chat.h"

#include "server/http/json_body.h"
#include "server/openai/chat_request.h"
#include "server/openai/response_parts.h"

namespace quern {
namespace {

/// What both kinds of answer need.
class ChatParts {
  public:
    ChatParts(const ServedModel& model, const char* object, ChatRequest request, const Waker& wake)
        : header_(make_header(model, "chatcmpl-", object)),
          fields_(std::move(request.fields)),
          choices_(*model.engine, {model.engine->tokenize_chat(request.input)}, fields_.request, fields_.n_choices, wake) {}

  protected:
    bool wants_logprobs() const { return fields_.request.n_logprobs >= 0; }

    Json logprobs_json(const std::vector<TokenOutput>& tokens) const {
        if (!wants_logprobs()) return nullptr;
        return {{"content", chat_logprobs(header_.model->engine->tokenizer(), tokens)}, {"refusal", nullptr}};
    }

    const ResponseHeader header_;
    const GenerationFields fields_;
    ChoiceSet choices_;
};

class ChatResponse final : public PendingResponse, ChatParts {
  public:
    ChatResponse(const ServedModel& model, ChatRequest request, const Waker& wake)
        : ChatParts(model, "chat.completion", std::move(request), wake), collected_(choices_.size()) {}

    std::optional<HttpResponse> poll() override {
        for (ChoiceUpdate& update : choices_.poll()) {
            ChoiceUpdate& whole = collected_[update.index];
            whole.text += update.text;
            if (wants_logprobs()) std::move(update.tokens.begin(), update.tokens.end(), std::back_inserter(whole.tokens));
            whole.finish = update.finish;
        }
        if (!choices_.is_done()) return std::nullopt;
        Json json = header_.json();
        for (size_t i = 0; i < collected_.size(); ++i) {
            const ChoiceUpdate& whole = collected_[i];
            json["choices"].push_back({{"index", i},
                                       {"message", {{"role", "assistant"}, {"content", whole.text}, {"refusal", nullptr}}},
                                       {"logprobs", logprobs_json(whole.tokens)},
                                       {"finish_reason", finish_name(*whole.finish)}});
        }
        json["usage"] = usage_json(choices_);
        return json_response(json);
    }

  private:
    std::vector<ChoiceUpdate> collected_;
};

class ChatStream final : public EventSource, ChatParts {
  public:
    ChatStream(const ServedModel& model, ChatRequest request, const Waker& wake)
        : ChatParts(model, "chat.completion.chunk", std::move(request), wake) {}

    EventBatch poll() override {
        EventBatch batch;
        if (!has_begun_) {
            has_begun_ = true;
            for (size_t i = 0; i < choices_.size(); ++i)
                batch.text += chunk(i, {{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}}, nullptr, nullptr);
        }
        for (const ChoiceUpdate& update : choices_.poll()) {
            if (!update.text.empty() || (wants_logprobs() && !update.tokens.empty()))
                batch.text += chunk(update.index, {{"content", update.text}}, logprobs_json(update.tokens), nullptr);
            if (update.finish) batch.text += chunk(update.index, Json::object(), nullptr, finish_name(*update.finish));
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
    std::string chunk(size_t index, Json delta, Json logprobs, Json finish) const {
        Json json = header_.json();
        json["choices"].push_back(
            {{"index", index}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}, {"finish_reason", std::move(finish)}});
        if (fields_.include_usage) json["usage"] = nullptr;
        return event(json);
    }

    bool has_begun_ = false;
};

}  // namespace

Answer answer_chat(const ModelStore& models, const HttpRequest& request, const Waker& wake) {
    const Json body = parse_json_body(request.body);
    const ServedModel& model = models.find(model_name(body));
    ChatRequest parsed = read_chat_request(body, *model.engine);
    if (parsed.fields.stream) return std::make_unique<ChatStream>(model, std::move(parsed), wake);
    return std::make_unique<ChatResponse>(model, std::move(parsed), wake);
}

}  // namespace quern
