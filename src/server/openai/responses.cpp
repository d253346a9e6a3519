// Source: OpenAI's API reference, "Responses" and "Streaming events". Every event has a number, and says which item and part it is of.
#include "server/openai/responses.h"

#include "server/api_errors.h"
#include "server/generation/wording.h"
#include "server/http/random_id.h"
#include "server/openai/response_parts.h"
#include "server/openai/response_request.h"

namespace quern {
namespace {

class ResponseWording final : public Wording {
  public:
    ResponseWording(ModelLease model, ResponseRequest& request)
        : id_(random_id("resp_")),
          item_id_(random_id("msg_")),
          created_(seconds_now()),
          model_(std::move(model)),
          echoed_(std::move(request.echoed)),
          wants_logprobs_(request.wants_logprobs) {}

    Json response(const ChoiceSet& choices, std::vector<ChoiceUpdate>& whole) override {
        text_ = whole[0].text;
        if (wants_logprobs_) logprobs_ = chat_logprobs(choices.tokenizer(), whole[0].tokens);
        return finished(choices, *whole[0].finish);
    }

    std::string begin(const ChoiceSet&) override {
        std::string out = numbered("response.created", {{"response", object("in_progress")}});
        out += numbered("response.in_progress", {{"response", object("in_progress")}});
        out += numbered("response.output_item.added", {{"output_index", 0}, {"item", item("in_progress", false)}});
        return out + numbered("response.content_part.added",
                              {{"item_id", item_id_}, {"output_index", 0}, {"content_index", 0}, {"part", part("", Json::array())}});
    }

    std::string piece(const ChoiceSet& choices, const ChoiceUpdate& update) override {
        std::string out;
        text_ += update.text;
        if (!wants_logprobs_) {
            if (!update.text.empty()) out = plain_delta(update.text);
        } else if (!update.text.empty() || !update.tokens.empty()) {
            Json logprobs = chat_logprobs(choices.tokenizer(), update.tokens);
            for (const Json& each : logprobs) logprobs_.push_back(each);
            out += numbered("response.output_text.delta", {{"item_id", item_id_},
                                                           {"output_index", 0},
                                                           {"content_index", 0},
                                                           {"delta", update.text},
                                                           {"logprobs", std::move(logprobs)}});
        }
        if (update.finish) finish_ = *update.finish;
        return out;
    }

    std::string end(const ChoiceSet& choices) override {
        const Json place = {{"item_id", item_id_}, {"output_index", 0}, {"content_index", 0}};
        Json text_done = place, part_done = place;
        text_done["text"] = text_;
        text_done["logprobs"] = logprobs_;
        part_done["part"] = part(text_, logprobs_);
        const bool is_complete = finish_ == FinishReason::stop;
        std::string out = numbered("response.output_text.done", std::move(text_done));
        out += numbered("response.content_part.done", std::move(part_done));
        out += numbered("response.output_item.done", {{"output_index", 0}, {"item", item(is_complete ? "completed" : "incomplete", true)}});
        return out + numbered(is_complete ? "response.completed" : "response.incomplete", {{"response", finished(choices, finish_)}});
    }

    std::string error_text(std::exception_ptr error, std::string_view request_id) override {
        const ApiError known = to_api_error(std::move(error), request_id);
        Json failed = object("failed");
        failed["error"] = {{"code", "server_error"}, {"message", known.what()}};
        const std::string out = numbered("error", response_error(known));
        return out + numbered("response.failed", {{"response", std::move(failed)}});
    }

  private:
    std::string plain_delta(std::string_view text) {
        std::string out = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":";
        out.append(std::to_string(n_events_++)).append(",\"item_id\":\"").append(item_id_);
        append_json_string(out.append("\",\"output_index\":0,\"content_index\":0,\"delta\":"), text);
        return out.append(",\"logprobs\":[]}\n\n");
    }

    std::string numbered(const char* type, Json rest) {
        Json json = {{"type", type}, {"sequence_number", n_events_++}};
        json.update(rest);
        return named_event(type, json);
    }

    static Json part(const std::string& text, const Json& logprobs) {
        return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", logprobs}};
    }

    Json item(const char* status, bool with_content) const {
        Json content = Json::array();
        if (with_content) content.push_back(part(text_, logprobs_));
        return {{"type", "message"}, {"id", item_id_}, {"status", status}, {"role", "assistant"}, {"content", std::move(content)}};
    }

    Json object(const char* status) const {
        Json json = {
            {"id", id_},        {"object", "response"},          {"created_at", created_}, {"status", status},        {"background", false},
            {"error", nullptr}, {"incomplete_details", nullptr}, {"model", model_->id},    {"output", Json::array()}, {"usage", nullptr}};
        json.update(echoed_);
        return json;
    }

    Json finished(const ChoiceSet& choices, FinishReason finish) const {
        const bool is_complete = finish == FinishReason::stop;
        Json json = object(is_complete ? "completed" : "incomplete");
        if (!is_complete) json["incomplete_details"] = {{"reason", "max_output_tokens"}};
        json["output"].push_back(item(is_complete ? "completed" : "incomplete", true));
        json["usage"] = {{"input_tokens", choices.n_prompt_tokens()},
                         {"input_tokens_details", {{"cached_tokens", choices.n_cached_tokens()}}},
                         {"output_tokens", choices.n_completion_tokens()},
                         {"output_tokens_details", {{"reasoning_tokens", 0}}},
                         {"total_tokens", choices.n_prompt_tokens() + choices.n_completion_tokens()}};
        return json;
    }

    const std::string id_, item_id_;
    const int64_t created_;
    const ModelLease model_;
    const Json echoed_;
    const bool wants_logprobs_;
    std::string text_;
    Json logprobs_ = Json::array();
    FinishReason finish_ = FinishReason::stop;
    int64_t n_events_ = 0;
};

Answer make_response(const ModelRequest& asked) {
    ResponseRequest parsed = read_response_request(asked.body, *asked.model->engine);
    auto wording = std::make_unique<ResponseWording>(asked.model, parsed);
    ChoiceOrder order{.model = asked.model,
                      .prompts = {tokenize_chat_prompt(*asked.model, std::move(parsed.prompt))},
                      .request = std::move(parsed.fields.request),
                      .n_each = 1,
                      .prompt_field = "input",
                      .metrics = &asked.api.metrics};
    return answer_generation(std::move(order), std::move(wording), parsed.fields.stream, asked.wake);
}

}  // namespace

Answer answer_response(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_response);
}

}  // namespace quern
