// Source: llama.cpp's server documentation, "POST /completion" and "POST /infill".
#include "server/native/completion.h"

#include <algorithm>

#include "server/generation/fill_in.h"
#include "server/generation/generation_fields.h"
#include "server/generation/prompt_reader.h"
#include "server/native/generation_settings.h"
#include "server/openai/response_parts.h"

namespace quern {
namespace {

using enum FieldKind;

constexpr FieldRule rules[] = {
    {"prompt", any},          {"n_predict", integer, -2, 2147483647}, {"return_tokens", boolean},
    {"response_fields", any}, {"image_data", refused, 0, 0, "[[]]"},
};

constexpr size_t max_response_fields = 256;

constexpr FieldRule infill_rules[] = {{"input_prefix", text}, {"input_suffix", text}, {"input_extra", any}};

/// What llama.cpp's server does without being told.
Json with_defaults(const Json& body) {
    Json out = {{"temperature", 0.8}, {"top_k", 40}, {"top_p", 0.95}, {"min_p", 0.05}};
    for (const auto& [key, value] : body.items())
        if (!value.is_null()) out[key] = value;
    if (const auto options = out.find("stream_options"); options != out.end() && !options->is_object())
        refuse_type("stream_options", "an object", *options);
    out.erase("stream_options");
    return out;
}

/// One prompt may mix texts and tokens in an array.
std::vector<TokenId> read_mixed(const Json& list, const std::string& param, const Engine& engine) {
    std::vector<TokenId> tokens;
    for (size_t i = 0; i < list.size(); ++i) {
        const std::string place = concat(param, "[", i, "]");
        std::vector<TokenId> more;
        if (list[i].is_string())
            more = engine.tokenizer().tokenize(list[i].get_ref<const std::string&>(), {.add_special = i == 0, .parse_special = true});
        else
            more = read_tokens(Json::array({list[i]}), place, engine.info().n_vocab);
        tokens.insert(tokens.end(), more.begin(), more.end());
    }
    return tokens;
}

/// A prompt may be an object that holds its text: {"prompt_string": ..., "multimodal_data": [...]}.
Json text_of_object(const Json& object, const std::string& param) {
    const auto text = object.find("prompt_string"), media = object.find("multimodal_data");
    if (media != object.end() && !media->empty()) refuse_unsupported(param + ".multimodal_data", "this model reads text only");
    if (text == object.end()) refuse_value(param, "has no prompt_string");
    if (!text->is_string()) refuse_type(param + ".prompt_string", "a string", *text);
    return *text;
}

Json without_objects(const Json& prompt) {
    if (prompt.is_object()) return text_of_object(prompt, "prompt");
    Json out = prompt;
    if (!out.is_array()) return out;
    for (size_t i = 0; i < out.size(); ++i)
        if (out[i].is_object()) out[i] = text_of_object(prompt[i], concat("prompt[", i, "]"));
    return out;
}

std::vector<std::vector<TokenId>> read_native_prompts(const RequestFields& fields, const Engine& engine) {
    const Json* given = fields.find("prompt");
    if (!given) refuse_value("prompt", "is missing");
    const Json whole = without_objects(*given);
    const Json* prompt = &whole;
    const auto is_scalar = [](const Json& each) { return each.is_string() || each.is_number(); };
    const bool is_mixed = prompt->is_array() &&
                          std::any_of(prompt->begin(), prompt->end(), [](const Json& each) { return each.is_number(); }) &&
                          std::all_of(prompt->begin(), prompt->end(), is_scalar);
    if (is_mixed) return {read_mixed(*prompt, "prompt", engine)};
    return read_prompts(*prompt, "prompt", engine).tokens;
}

/// Which fields of an answer are wanted, inner ones as "outer/inner"; none named: all.
std::vector<std::string> read_response_fields(const RequestFields& fields) {
    std::vector<std::string> paths;
    const Json* list = fields.find("response_fields");
    if (!list) return paths;
    if (!list->is_array()) refuse_type("response_fields", "an array of strings", *list);
    if (list->size() > max_response_fields) refuse_value("response_fields", concat("has more than ", max_response_fields, " entries"));
    for (size_t i = 0; i < list->size(); ++i) {
        if (!(*list)[i].is_string()) refuse_type(concat("response_fields[", i, "]"), "a string", (*list)[i]);
        paths.push_back((*list)[i].get<std::string>());
    }
    return paths;
}

/// Each under its whole path; those that the answer has not are left out.
Json select_fields(const Json& answer, const std::vector<std::string>& paths) {
    if (paths.empty()) return answer;
    Json out = Json::object();
    for (const std::string& path : paths) {
        const Json* at = &answer;
        for (size_t begin = 0; at != nullptr && begin <= path.size();) {
            const size_t end = std::min(path.find('/', begin), path.size());
            const auto found = at->is_object() ? at->find(path.substr(begin, end - begin)) : at->end();
            at = found == at->end() ? nullptr : &*found;
            begin = end + 1;
        }
        if (at != nullptr) out[path] = *at;
    }
    return out;
}

const char* stop_type(const ChoiceUpdate& update) {
    if (update.finish == FinishReason::length) return "limit";
    return update.stop.empty() ? "eos" : "word";
}

class NativeWording final : public Wording {
  public:
    struct Wishes {
        bool returns_tokens = false;
        std::vector<std::string> response_fields;  ///< of a whole answer, or of a stream's last event
    };

    NativeWording(ModelLease model, const Request& request, Wishes wishes)
        : model_(std::move(model)), settings_(settings_of(request)), wishes_(std::move(wishes)) {}

    Json response(const ChoiceSet& choices, std::vector<ChoiceUpdate>& whole) override {
        Json list = Json::array();
        for (const ChoiceUpdate& update : whole) list.push_back(last(choices, update, update.text));
        return list.size() == 1 ? list.front() : list;
    }

    std::string piece(const ChoiceSet& choices, const ChoiceUpdate& update) override {
        std::string out;
        if (!update.text.empty() || (choices.wants_logprobs() && !update.tokens.empty())) {
            out.append("data: {\"index\":").append(std::to_string(update.index)).append(",\"content\":");
            append_json_string(out, update.text);
            append_tokens(out.append(",\"tokens\":["), update);
            out += "],\"stop\":false,\"id_slot\":0";
            if (choices.wants_logprobs()) out.append(",\"completion_probabilities\":").append(dump(probabilities(choices, update)));
            out += "}\n\n";
        }
        if (update.finish) out += event(last(choices, update, ""));
        return out;
    }

  private:
    static Json settings_of(const Request& request) {
        Json json = sampling_settings(request.sampling);
        json["n_predict"] = request.max_tokens.value_or(-1);
        json["stop"] = request.stop;
        json["ignore_eos"] = request.ignore_end;
        json["n_probs"] = std::max(0, request.n_logprobs);
        return json;
    }

    void append_tokens(std::string& out, const ChoiceUpdate& update) const {
        if (!wishes_.returns_tokens) return;
        for (const TokenOutput& token : update.tokens) out.append(out.back() == '[' ? "" : ",").append(std::to_string(token.token.value));
    }

    Json token_list(const ChoiceUpdate& update) const {
        Json list = Json::array();
        if (wishes_.returns_tokens)
            for (const TokenOutput& token : update.tokens) list.push_back(token.token.value);
        return list;
    }

    static Json probabilities(const ChoiceSet& choices, const ChoiceUpdate& update) {
        Json list = chat_logprobs(choices.tokenizer(), update.tokens);
        for (size_t i = 0; i < list.size(); ++i) {
            list[i]["id"] = update.tokens[i].token.value;
            for (size_t j = 0; j < list[i]["top_logprobs"].size(); ++j)
                list[i]["top_logprobs"][j]["id"] = update.tokens[i].logprobs->top[j].token.value;
        }
        return list;
    }

    Json last(const ChoiceSet& choices, const ChoiceUpdate& update, const std::string& text) const {
        const GenerationStats& stats = choices.stats(update.index);
        Json json = {{"index", update.index},
                     {"content", text},
                     {"tokens", token_list(update)},
                     {"id_slot", 0},
                     {"stop", true},
                     {"model", model_->id},
                     {"tokens_predicted", stats.n_generated_tokens},
                     {"tokens_evaluated", stats.n_prompt_tokens},
                     {"generation_settings", settings_},
                     {"truncated", false},
                     {"stop_type", stop_type(update)},
                     {"stopping_word", update.stop},
                     {"tokens_cached", stats.n_prompt_tokens + stats.n_generated_tokens},
                     {"timings", timings_json(choices)}};
        if (choices.wants_logprobs() && !update.tokens.empty()) json["completion_probabilities"] = probabilities(choices, update);
        return select_fields(json, wishes_.response_fields);
    }

    const ModelLease model_;
    const Json settings_;
    const Wishes wishes_;
};

Answer generate(const ModelRequest& asked, const RequestFields& fields, std::vector<std::vector<TokenId>> prompts) {
    GenerationFields generation = read_generation_fields(fields, *asked.model->engine);
    const auto n_predict = fields.integer("n_predict");
    if (n_predict && *n_predict >= 0) generation.request.max_tokens = *n_predict;
    generation.request.n_logprobs = generation.n_probs > 0 ? generation.n_probs : -1;
    if (prompts.size() * static_cast<size_t>(generation.n_choices) > max_prompts)
        refuse_value("n", concat("asks for more than ", max_prompts, " choices in all"));
    const bool returns_tokens = fields.flag("return_tokens", false);
    auto wording = std::make_unique<NativeWording>(
        asked.model, generation.request,
        NativeWording::Wishes{.returns_tokens = returns_tokens, .response_fields = read_response_fields(fields)});
    // Tokens are wanted even where no probabilities are: the pipeline keeps them only for those.
    if (returns_tokens && generation.request.n_logprobs < 0 && !generation.stream) generation.request.n_logprobs = 0;
    ChoiceOrder order{.model = asked.model,
                      .prompts = std::move(prompts),
                      .request = std::move(generation.request),
                      .n_each = generation.n_choices,
                      .metrics = &asked.api.metrics};
    return answer_generation(std::move(order), std::move(wording), generation.stream, asked.wake);
}

Answer make_native(const ModelRequest& asked) {
    const Json body = with_defaults(asked.body);
    const RequestFields fields(body, {generation_field_rules(), sampler_field_rules(), rules});
    return generate(asked, fields, read_native_prompts(fields, *asked.model->engine));
}

FillIn read_fill_in(const RequestFields& fields) {
    FillIn out{.prefix = fields.text("input_prefix").value_or(""),
               .suffix = fields.text("input_suffix").value_or(""),
               .begun = {},
               .other_files = {}};
    if (const Json* prompt = fields.find("prompt")) {
        if (!prompt->is_string()) refuse_type("prompt", "a string", *prompt);
        out.begun = prompt->get<std::string>();
    }
    const Json* extra = fields.find("input_extra");
    if (!extra) return out;
    if (!extra->is_array()) refuse_type("input_extra", "an array of objects", *extra);
    for (size_t i = 0; i < extra->size(); ++i) {
        const Json& file = (*extra)[i];
        const std::string param = concat("input_extra[", i, "]");
        if (!file.is_object()) refuse_type(param, "an object", file);
        const auto name = file.find("filename"), text = file.find("text");
        if (text == file.end() || !text->is_string()) refuse_value(param, "has no text");
        out.other_files.emplace_back(name != file.end() && name->is_string() ? name->get<std::string>() : "file", text->get<std::string>());
    }
    return out;
}

Answer make_infill(const ModelRequest& asked) {
    const Json body = with_defaults(asked.body);
    const RequestFields fields(body, {generation_field_rules(), sampler_field_rules(), rules, infill_rules});
    return generate(asked, fields, {fill_in_prompt(asked.model->engine->tokenizer(), read_fill_in(fields), "")});
}

}  // namespace

std::span<const FieldRule> native_field_rules() { return rules; }
std::span<const FieldRule> infill_field_rules() { return infill_rules; }

Answer answer_native_completion(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_native);
}

Answer answer_infill(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_infill);
}

}  // namespace quern
