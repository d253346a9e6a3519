// Source: Ollama's API documentation. Times are in nanoseconds.
#include "server/ollama/generate.h"

#include <ctime>

#include "server/generation/chat_prompt.h"
#include "server/generation/fill_in.h"
#include "server/generation/generation_fields.h"
#include "server/generation/json_text.h"
#include "server/generation/prompt_reader.h"
#include "server/generation/wording.h"
#include "server/http/json_body.h"
#include "server/ollama/keep_alive.h"
#include "server/openai/chat_messages.h"

namespace quern {
namespace {

using enum FieldKind;

constexpr FieldRule chat_rules[] = {
    {"model", text},
    {"messages", any},
    {"stream", boolean},
    {"options", object},
    {"keep_alive", any},
    {"think", any},
    {"truncate", ignored},
    {"shift", ignored},
    {"format", refused, 0, 0, R"([""])"},
    {"template", refused, 0, 0, R"([""])"},
    {"tools", refused, 0, 0, "[[]]"},
    {"logprobs", refused, 0, 0, "[false]"},
    {"top_logprobs", refused, 0, 0, "[0]"},
};

constexpr FieldRule generate_rules[] = {
    {"model", text},
    {"prompt", text},
    {"suffix", text},
    {"system", text},
    {"stream", boolean},
    {"options", object},
    {"keep_alive", any},
    {"think", any},
    {"raw", boolean},
    {"truncate", ignored},
    {"shift", ignored},
    {"format", refused, 0, 0, R"([""])"},
    {"template", refused, 0, 0, R"([""])"},
    {"images", refused, 0, 0, "[[]]"},
    {"context", refused, 0, 0, "[[]]"},
    {"logprobs", refused, 0, 0, "[false]"},
    {"top_logprobs", refused, 0, 0, "[0]"},
};

constexpr FieldRule option_rules[] = {{"num_predict", integer, -2, 2147483647}};

int64_t nanoseconds(double ms) { return static_cast<int64_t>(ms * 1e6); }

/// Ollama's options under the names of the shared fields, with Ollama's defaults.
Json shared_options(const RequestFields& fields) {
    Json out = {{"temperature", 0.8}, {"top_k", 40}, {"top_p", 0.9}, {"repeat_penalty", 1.1}};
    if (const Json* options = fields.find("options"))
        for (const auto& [key, value] : options->items())
            if (!value.is_null()) out[key] = value;
    for (const char* name : {"max_tokens", "n", "n_cmpl", "n_probs", "stream", "stream_options", "model"}) out.erase(name);
    return out;
}

GenerationFields read_options(const RequestFields& fields, const Engine& engine) {
    const Json shared = shared_options(fields);
    const RequestFields options(shared, {generation_field_rules(), sampler_field_rules(), option_rules});
    GenerationFields out = read_generation_fields(options, engine);
    const auto n_predict = options.integer("num_predict");
    if (n_predict && *n_predict >= 0) out.request.max_tokens = *n_predict;
    out.stream = fields.flag("stream", true);
    return out;
}

const Json* find_think(const RequestFields& fields) {
    const Json* think = fields.find("think");
    if (think && !think->is_boolean() && !think->is_string()) refuse_type("think", "a boolean", *think);
    return think;
}

void read_think(const RequestFields& fields, const ServedModel& model, TemplateInput& input) {
    const Json* think = find_think(fields);
    if (!think) return;
    if (*think != false && !can_think(model)) refuse_unsupported("think", "this model's chat template knows no thinking");
    if (think->is_boolean()) input.extra["enable_thinking"] = *think;
    if (think->is_string()) input.extra["reasoning_effort"] = *think;
}

class OllamaWording final : public Wording {
  public:
    OllamaWording(ModelLease model, bool is_chat) : model_(std::move(model)), is_chat_(is_chat), began_(std::chrono::steady_clock::now()) {}

    Json response(const ChoiceSet& choices, std::vector<ChoiceUpdate>& whole) override { return last(choices, whole[0], whole[0].text); }

    std::string piece(const ChoiceSet& choices, const ChoiceUpdate& update) override {
        std::string out;
        if (!update.text.empty()) {
            out = begun_line();
            append_json_string(out, update.text);
            out += is_chat_ ? "},\"done\":false}\n" : ",\"done\":false}\n";
        }
        if (update.finish) out += json_line(last(choices, update, ""));
        return out;
    }

    const char* stream_type() const override { return "application/x-ndjson"; }
    std::string keep_alive() const override { return {}; }

  private:
    /// The line of a part up to its text: the same for a second.
    const std::string& begun_line() {
        if (const int64_t now = seconds_now(); now != begun_at_) {
            begun_at_ = now;
            begun_line_ = dump(part("", false));
            begun_line_.erase(begun_line_.rfind("\"\""));
        }
        return begun_line_;
    }

    Json part(const std::string& text, bool is_done) const {
        Json json = {{"model", model_->id}, {"created_at", ollama_time(seconds_now())}};
        if (is_chat_)
            json["message"] = {{"role", "assistant"}, {"content", text}};
        else
            json["response"] = text;
        json["done"] = is_done;
        return json;
    }

    Json last(const ChoiceSet& choices, const ChoiceUpdate& update, const std::string& text) const {
        const GenerationStats& stats = choices.stats(0);
        const auto total = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - began_);
        Json json = part(text, true);
        json["done_reason"] = finish_name(*update.finish);
        json["total_duration"] = total.count();
        json["load_duration"] = nanoseconds(stats.queue_ms);
        json["prompt_eval_count"] = choices.n_prompt_tokens();
        json["prompt_eval_duration"] = nanoseconds(stats.prompt_ms);
        json["eval_count"] = choices.n_completion_tokens();
        json["eval_duration"] = nanoseconds(stats.generation_ms);
        return json;
    }

    const ModelLease model_;
    const bool is_chat_;
    const std::chrono::steady_clock::time_point began_;
    int64_t begun_at_ = 0;  // seconds since 1970
    std::string begun_line_;
};

Answer generate(const ModelRequest& asked, const RequestFields& fields, GenerationFields generation, std::vector<TokenId> prompt,
                bool is_chat) {
    ChoiceOrder order{.model = asked.model,
                      .prompts = {std::move(prompt)},
                      .request = std::move(generation.request),
                      .n_each = 1,
                      .metrics = &asked.api.metrics};
    Answer answer =
        answer_generation(std::move(order), std::make_unique<OllamaWording>(asked.model, is_chat), generation.stream, asked.wake);
    keep_as_asked(asked, fields);
    return answer;
}

/// @param reason  what has been done with the model in place of an answer
HttpResponse without_answer(const std::string& id, const char* reason, bool is_chat) {
    Json json = {{"model", id}, {"created_at", ollama_time(seconds_now())}};
    if (is_chat)
        json["message"] = {{"role", "assistant"}, {"content", ""}};
    else
        json["response"] = "";
    json["done"] = true;
    json["done_reason"] = reason;
    return json_response(json);
}

/// Without a prompt, the model has been loaded, and that was all.
Answer only_loaded(const ModelRequest& asked, const RequestFields& fields, bool is_chat) {
    keep_as_asked(asked, fields);
    return without_answer(asked.model->id, "load", is_chat);
}

Answer make_chat(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {chat_rules});
    GenerationFields generation = read_options(fields, *asked.model->engine);
    read_keep_alive(fields);
    ChatPrompt prompt;
    read_think(fields, *asked.model, prompt.input);
    const Json* messages = fields.find("messages");
    if (!messages || (messages->is_array() && messages->empty())) return only_loaded(asked, fields, true);
    prompt.input.messages = read_messages(*messages);
    for (Json& message : prompt.input.messages) {
        const auto images = message.find("images");
        if (images != message.end() && !images->empty()) refuse_unsupported("images", "this model reads text only");
        message.erase("images");
    }
    prompt.continues_last = ends_with_answer(prompt.input.messages);
    return generate(asked, fields, std::move(generation), tokenize_chat_prompt(*asked.model, std::move(prompt)), true);
}

std::vector<TokenId> generate_prompt(const ModelRequest& asked, const RequestFields& fields, const std::string& text) {
    const Engine& engine = *asked.model->engine;
    const std::string suffix = fields.text("suffix").value_or(""), system = fields.text("system").value_or("");
    if (!suffix.empty()) return fill_in_prompt(engine.tokenizer(), {.prefix = text, .suffix = suffix, .begun = {}, .other_files = {}});
    const bool has_none = engine.chat_template() == nullptr && engine.info().chat_template_error.empty();
    if (fields.flag("raw", false) || has_none) return tokenize_prompt(engine.tokenizer(), system.empty() ? text : system + "\n" + text);
    ChatPrompt prompt;
    prompt.input.messages = Json::array();
    if (!system.empty()) prompt.input.messages.push_back({{"role", "system"}, {"content", system}});
    prompt.input.messages.push_back({{"role", "user"}, {"content", text}});
    read_think(fields, *asked.model, prompt.input);
    return tokenize_chat_prompt(*asked.model, std::move(prompt));
}

Answer make_generate(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {generate_rules});
    GenerationFields generation = read_options(fields, *asked.model->engine);
    const std::string text = fields.text("prompt").value_or("");
    read_keep_alive(fields);
    TemplateInput checked;
    read_think(fields, *asked.model, checked);
    if (text.empty()) return only_loaded(asked, fields, false);
    std::vector<TokenId> prompt = generate_prompt(asked, fields, text);
    return generate(asked, fields, std::move(generation), std::move(prompt), false);
}

/// "keep_alive": 0 without a prompt asks for nothing but to unload the model, which need not be loaded for that.
bool asks_to_unload(const Json& body, bool is_chat) {
    if (!body.contains("keep_alive")) return false;
    const RequestFields fields(body, {is_chat ? std::span<const FieldRule>(chat_rules) : generate_rules});
    const auto time = read_keep_alive(fields);
    const Json* prompt = fields.find(is_chat ? "messages" : "prompt");
    if (!time || time->count() != 0 || (prompt && (is_chat ? *prompt != Json::array() : *prompt != ""))) return false;
    find_think(fields);
    const Json options = shared_options(fields);
    const RequestFields checked(options, {generation_field_rules(), sampler_field_rules(), option_rules});
    return true;
}

HttpResponse unload(ApiContext& api, const Json& body, bool is_chat) {
    const std::string id = api.models.id_of(model_name(body));
    if (api.has_keys) api.models.keep(id, std::chrono::milliseconds(0));
    const bool stays = !api.has_keys && api.models.find_loaded(id);
    return without_answer(id, stays ? "load" : "unload", is_chat);
}

Answer answer_or_unload(ApiContext& api, const HttpRequest& request, const Waker& wake, bool is_chat) {
    auto body = std::make_shared<const Json>(parse_json_body(request.body));
    if (asks_to_unload(*body, is_chat)) return unload(api, *body, is_chat);
    return answer_parsed(api, request, std::move(body), wake, is_chat ? &make_chat : &make_generate);
}

}  // namespace

std::string ollama_time(int64_t seconds) {
    const auto time = static_cast<std::time_t>(seconds);
    std::tm parts{};
    gmtime_r(&time, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::span<const FieldRule> ollama_chat_field_rules() { return chat_rules; }
std::span<const FieldRule> ollama_generate_field_rules() { return generate_rules; }

Answer answer_ollama_chat(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_or_unload(api, request, wake, true);
}

Answer answer_ollama_generate(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_or_unload(api, request, wake, false);
}

}  // namespace quern
