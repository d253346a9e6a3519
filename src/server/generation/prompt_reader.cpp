#include "server/generation/prompt_reader.h"

namespace quern {
namespace {

class Reader {
  public:
    explicit Reader(const Engine& engine) : engine_(engine) {}

    void read(const Json& item, const std::string& param) {
        if (item.is_string()) return add_text(item, param);
        if (!item.is_array()) refuse_type(param, "a string or an array of token ids", item);
        add_tokens(item, param);
    }

    void add_tokens(const Json& list, const std::string& param) {
        prompts.tokens.push_back(read_tokens(list, param, engine_.info().n_vocab));
        if (prompts.tokens.back().empty()) refuse_value(param, "is empty");
        prompts.texts.push_back(engine_.tokenizer().detokenize(prompts.tokens.back(), true));
    }

    PromptList prompts;

  private:
    void add_text(const Json& text, const std::string& param) {
        refuse_if_too_long(engine_, text.get_ref<const std::string&>().size(), param);
        prompts.tokens.push_back(tokenize_prompt(engine_.tokenizer(), text.get_ref<const std::string&>()));
        prompts.texts.push_back(text.get<std::string>());
    }

    const Engine& engine_;
};

}  // namespace

void require_generation(const ServedModel& model) {
    if (!model.engine->info().generates)
        throw InvalidInput(concat("the model ", model.id, " makes vectors of texts (embeddings) and cannot go on with a text"), "model");
}

void refuse_if_too_long(const Engine& engine, size_t n_bytes, const std::string& param) {
    const int64_t least = engine.tokenizer().least_tokens(n_bytes), n_ctx = engine.info().n_ctx;
    if (least < n_ctx) return;
    throw ContextOverflow(
        concat("this model's maximum context length is ", n_ctx, " tokens, but the prompt has more than ", least, "; shorten the prompt"),
        param);
}

std::vector<TokenId> tokenize_prompt(const Tokenizer& tokenizer, const std::string& text) {
    std::vector<TokenId> tokens = tokenizer.tokenize(text, {.add_special = true, .parse_special = true});
    if (tokens.empty() && tokenizer.vocabulary().bos) tokens.push_back(*tokenizer.vocabulary().bos);
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

PromptList read_prompts(const Json& prompt, const std::string& param, const Engine& engine) {
    Reader reader(engine);
    if (prompt.is_string()) {
        reader.read(prompt, param);
        return std::move(reader.prompts);
    }
    if (!prompt.is_array()) refuse_type(param, "a string, or an array of strings or token ids", prompt);
    if (prompt.empty()) refuse_value(param, "is empty");
    if (prompt.front().is_number()) {
        reader.add_tokens(prompt, param);
        return std::move(reader.prompts);
    }
    if (prompt.size() > max_prompts)
        refuse_value(param, concat("has ", prompt.size(), " texts, and at most ", max_prompts, " are possible"));
    for (size_t i = 0; i < prompt.size(); ++i) reader.read(prompt[i], concat(param, "[", i, "]"));
    return std::move(reader.prompts);
}

}  // namespace quern
