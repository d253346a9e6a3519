#include "server/openai/chat.h"

#include "server/openai/chat_request.h"
#include "server/openai/response_parts.h"

namespace quern {
namespace {

class ChatWording final : public Wording {
  public:
    ChatWording(ModelLease model, bool is_stream, bool include_usage)
        : header_(make_header(std::move(model), "chatcmpl-", is_stream ? "chat.completion.chunk" : "chat.completion")),
          include_usage_(include_usage) {}

    Json response(const ChoiceSet& choices, std::vector<ChoiceUpdate>& whole) override {
        Json json = header_.json();
        for (const ChoiceUpdate& choice : whole)
            json["choices"].push_back({{"index", choice.index},
                                       {"message", {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}}},
                                       {"logprobs", logprobs_json(choices, choice.tokens)},
                                       {"finish_reason", finish_name(*choice.finish)}});
        json["usage"] = usage_json(choices);
        json["timings"] = timings_json(choices);
        return json;
    }

    std::string begin(const ChoiceSet& choices) override {
        std::string text;
        for (size_t i = 0; i < choices.size(); ++i)
            text += chunk(i, {{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}}, nullptr, nullptr);
        return text;
    }

    std::string piece(const ChoiceSet& choices, const ChoiceUpdate& update) override {
        std::string text;
        if (!choices.wants_logprobs()) {
            if (!update.text.empty()) text = plain_chunk(update.index, update.text);
        } else if (!update.text.empty() || !update.tokens.empty()) {
            text = chunk(update.index, {{"content", update.text}}, logprobs_json(choices, update.tokens), nullptr);
        }
        if (update.finish) text += chunk(update.index, Json::object(), nullptr, finish_name(*update.finish));
        return text;
    }

    std::string end(const ChoiceSet& choices) override {
        std::string text;
        if (include_usage_) {
            Json json = header_.json();
            json["usage"] = usage_json(choices);
            json["timings"] = timings_json(choices);
            text = event(json);
        }
        return text + done_event;
    }

  private:
    static Json logprobs_json(const ChoiceSet& choices, const std::vector<TokenOutput>& tokens) {
        if (!choices.wants_logprobs()) return nullptr;
        return {{"content", chat_logprobs(choices.tokenizer(), tokens)}, {"refusal", nullptr}};
    }

    std::string chunk(size_t index, Json delta, Json logprobs, Json finish) const {
        const Json choice = {
            {"index", index}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}, {"finish_reason", std::move(finish)}};
        return header_.chunk(dump(choice), include_usage_);
    }

    std::string plain_chunk(size_t index, std::string_view text) const {
        std::string choice = "{\"index\":";
        append_json_string(choice.append(std::to_string(index)).append(",\"delta\":{\"content\":"), text);
        return header_.chunk(choice.append("},\"logprobs\":null,\"finish_reason\":null}"), include_usage_);
    }

    const ResponseHeader header_;
    const bool include_usage_;
};

Answer make_chat(const ModelRequest& asked) {
    ChatRequest parsed = read_chat_request(asked.body, *asked.model->engine);
    auto wording = std::make_unique<ChatWording>(asked.model, parsed.fields.stream, parsed.fields.include_usage);
    ChoiceOrder order{.model = asked.model,
                      .prompts = {tokenize_chat_prompt(*asked.model, std::move(parsed.prompt))},
                      .request = std::move(parsed.fields.request),
                      .n_each = parsed.fields.n_choices,
                      .prompt_field = "messages",
                      .metrics = &asked.api.metrics};
    return answer_generation(std::move(order), std::move(wording), parsed.fields.stream, asked.wake);
}

}  // namespace

Answer answer_chat(ApiContext& api, const HttpRequest& request, const Waker& wake) { return answer_body(api, request, wake, &make_chat); }

}  // namespace quern
