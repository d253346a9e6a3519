// Names and orders are those of the vocabularies and model cards of Qwen2.5-Coder, StarCoder, CodeLlama, DeepSeek-Coder, CodeGemma,
// Granite, GLM, Seed-Coder and Codestral.
#include "server/generation/fill_in.h"

#include <algorithm>

#include "server/http/errors.h"

namespace quern {
namespace {

struct Spelling {
    const char* prefix;
    const char* suffix;
    const char* middle;  // nullptr: none
    bool suffix_first;
};

constexpr Spelling spellings[] = {
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", false},
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", false},
    {"<fim-prefix>", "<fim-suffix>", "<fim-middle>", false},
    {"▁<PRE>", "▁<SUF>", "▁<MID>", false},
    {"<PRE>", "<SUF>", "<MID>", false},
    {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", false},
    {"<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", false},
    {"<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", true},
    {"[PREFIX]", "[SUFFIX]", nullptr, true},
};

constexpr const char* repository_names[] = {"<|repo_name|>", "<|fim_repo|>", "<repo_name>", "<reponame>"};
constexpr const char* file_names[] = {"<|file_sep|>", "<|fim_file|>", "<file_sep>", "<filename>", "<|file_separator|>"};

std::optional<TokenId> find_any(const Tokenizer& tokenizer, std::span<const char* const> names) {
    for (const char* name : names)
        if (const auto token = tokenizer.find_piece(name)) return token;
    return std::nullopt;
}

std::optional<FillInTokens> spelt_tokens(const Tokenizer& tokenizer) {
    for (const Spelling& spelling : spellings) {
        const auto prefix = tokenizer.find_piece(spelling.prefix), suffix = tokenizer.find_piece(spelling.suffix);
        const auto middle = spelling.middle ? tokenizer.find_piece(spelling.middle) : std::nullopt;
        if (!prefix || !suffix || (spelling.middle && !middle)) continue;
        return FillInTokens{.prefix = *prefix, .suffix = *suffix, .middle = middle, .suffix_first = spelling.suffix_first};
    }
    return std::nullopt;
}

/// Puts a prompt together. Only its very beginning is a text's beginning to SentencePiece.
class PromptBuilder {
  public:
    explicit PromptBuilder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {
        if (tokenizer.adds_bos()) tokens.push_back(*tokenizer.vocabulary().bos);
    }

    void add(std::optional<TokenId> token) {
        if (token) tokens.push_back(*token);
    }
    void add(const std::string& text, bool continues = true) {
        const auto more = tokenizer_.tokenize(text, {.add_special = false, .parse_special = false, .continues = continues});
        tokens.insert(tokens.end(), more.begin(), more.end());
    }

    std::vector<TokenId> tokens;

  private:
    const Tokenizer& tokenizer_;
};

void add_other_files(PromptBuilder& prompt, const FillIn& fill_in, const FillInTokens& control, const Tokenizer& tokenizer) {
    if (fill_in.other_files.empty()) return;
    if (!control.file) {  // not trained on several files: what stands before is just more text
        for (const auto& [name, text] : fill_in.other_files) prompt.add(text + "\n");
        return;
    }
    if (control.repository) {
        const std::string_view name = tokenizer.vocabulary().pieces[static_cast<size_t>(control.repository->value)];
        prompt.add(control.repository);
        prompt.add(name.starts_with("<|") ? "project\n" : "project");  // Qwen's ends with a line break, StarCoder's does not
    }
    for (const auto& [name, text] : fill_in.other_files) {
        prompt.add(control.file);
        prompt.add(concat(name, "\n", text, text.ends_with('\n') ? "" : "\n"));
    }
    prompt.add(control.file);
    prompt.add("file\n");
}

}  // namespace

std::optional<FillInTokens> fill_in_tokens(const Tokenizer& tokenizer) {
    std::optional<FillInTokens> found = spelt_tokens(tokenizer);
    const auto& said = tokenizer.vocabulary().fill_in;
    if (said.prefix && said.suffix && said.middle)
        found = FillInTokens{
            .prefix = *said.prefix, .suffix = *said.suffix, .middle = said.middle, .suffix_first = found && found->suffix_first};
    if (!found) return std::nullopt;
    found->repository = said.repository ? said.repository : find_any(tokenizer, repository_names);
    found->file = said.file ? said.file : find_any(tokenizer, file_names);
    return found;
}

std::vector<TokenId> fill_in_prompt(const Tokenizer& tokenizer, const FillIn& fill_in, const std::string& field) {
    const auto control = fill_in_tokens(tokenizer);
    if (!control)
        throw ApiError(concat(field.empty() ? "" : concat("Unsupported parameter: '", field, "': "),
                              "this model cannot fill in, since its vocabulary has no tokens for prefix, suffix and middle."),
                       {.status = 400, .code = field.empty() ? "not_supported" : "unsupported_parameter", .param = field});
    PromptBuilder prompt(tokenizer);
    add_other_files(prompt, fill_in, *control, tokenizer);
    const auto add_prefix = [&] {
        prompt.add(control->prefix);
        prompt.add(fill_in.prefix, false);  // CodeLlama was trained with SentencePiece's space here, and only here
    };
    if (!control->suffix_first) add_prefix();
    prompt.add(control->suffix);
    prompt.add(fill_in.suffix);
    if (control->suffix_first) add_prefix();
    prompt.add(control->middle);
    prompt.add(fill_in.begun);
    return std::move(prompt.tokens);
}

}  // namespace quern
