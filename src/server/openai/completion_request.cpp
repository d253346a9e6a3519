#include "server/openai/completion_request.h"

#include <algorithm>

namespace quern {
namespace {

constexpr int64_t default_max_tokens = 16;  // OpenAI's
constexpr size_t max_choices = 128;

using enum FieldKind;

constexpr FieldRule rules[] = {
    {"prompt", any}, {"echo", boolean}, {"logprobs", integer, 0, 5}, {"best_of", integer, 1, 128}, {"suffix", refused, 0, 0, R"([""])"},
};

std::vector<TokenId> tokenize_text(const std::string& text, const Engine& engine) {
    const Tokenizer& tokenizer = engine.tokenizer();
    std::vector<TokenId> tokens = tokenizer.tokenize(text, {.add_special = true, .parse_special = true});
    if (tokens.empty() && tokenizer.vocabulary().bos) tokens.push_back(*tokenizer.vocabulary().bos);  // a text out of nothing
    return tokens;
}

std::vector<TokenId> read_tokens(const Json& list, const std::string& param, int64_t n_vocab) {
    std::vector<TokenId> tokens;
    tokens.reserve(list.size());
    for (const Json& each : list) {
        if (!each.is_number()) refuse_type(param, "token ids only, or texts only", each);
        const int64_t id = integer_value(param, each);
        if (id < 0 || id >= n_vocab) refuse_value(param, concat("token ", id, " is outside the vocabulary of ", n_vocab));
        tokens.push_back({static_cast<int32_t>(id)});
    }
    return tokens;
}

class PromptReader {
  public:
    PromptReader(const Engine& engine, bool echo) : engine_(engine), echo_(echo) {}

    void read(const Json& prompt) {
        if (prompt.is_string()) return add_text(prompt);
        if (!prompt.is_array()) refuse_type("prompt", "a string, or an array of strings or token ids", prompt);
        if (prompt.empty()) refuse_value("prompt", "is empty");
        if (prompt.front().is_number()) return add_tokens(prompt, "prompt");
        if (prompt.size() > max_choices)
            refuse_value("prompt", concat("has ", prompt.size(), " texts, and at most ", max_choices, " are possible"));
        for (size_t i = 0; i < prompt.size(); ++i) read_item(prompt[i], concat("prompt[", i, "]"));
    }

    std::vector<std::vector<TokenId>> prompts;
    std::vector<std::string> echoes;

  private:
    void read_item(const Json& item, const std::string& param) {
        if (item.is_string()) return add_text(item);
        if (!item.is_array()) refuse_type(param, "a string or an array of token ids", item);
        add_tokens(item, param);
    }

    void add_text(const Json& text) {
        prompts.push_back(tokenize_text(text.get_ref<const std::string&>(), engine_));
        if (echo_) echoes.push_back(text.get<std::string>());
    }

    void add_tokens(const Json& list, const std::string& param) {
        prompts.push_back(read_tokens(list, param, engine_.info().n_vocab));
        if (prompts.back().empty()) refuse_value(param, "is empty");
        if (echo_) echoes.push_back(engine_.tokenizer().detokenize(prompts.back(), true));
    }

    const Engine& engine_;
    const bool echo_;
};

}  // namespace

CompletionRequest read_completion_request(const Json& body, const Engine& engine) {
    const RequestFields fields(body, {generation_field_rules(), rules});
    CompletionRequest out{.fields = read_generation_fields(fields, engine)};
    GenerationFields& shared = out.fields;
    if (!shared.request.max_tokens) shared.request.max_tokens = default_max_tokens;
    const int64_t best_of = fields.integer("best_of").value_or(shared.n_choices);
    if (best_of < shared.n_choices) refuse_value("best_of", "must not be less than 'n'");
    if (best_of > shared.n_choices) refuse_unsupported("best_of", "this server makes no more choices than it returns");
    const auto logprobs = fields.integer("logprobs");
    const bool echo = fields.flag("echo", false);
    if (logprobs && echo) refuse_unsupported("logprobs", "together with 'echo' they are not supported");
    shared.request.n_logprobs = static_cast<int>(logprobs.value_or(-1));
    PromptReader reader(engine, echo);
    const Json* prompt = fields.find("prompt");
    reader.read(prompt ? *prompt : Json(""));
    out.prompts = std::move(reader.prompts);
    out.echoes = std::move(reader.echoes);
    const size_t n_choices = out.prompts.size() * static_cast<size_t>(shared.n_choices);
    if (n_choices > max_choices)
        refuse_value("n", concat("asks for ", n_choices, " choices in all, and at most ", max_choices, " are possible"));
    return out;
}

}  // namespace quern
