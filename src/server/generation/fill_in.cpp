// The names are those of Qwen2.5-Coder, StarCoder, CodeLlama, DeepSeek-Coder, CodeGemma, Granite and Codestral's vocabularies.
#include "server/generation/fill_in.h"

#include <initializer_list>

#include "server/http/errors.h"

namespace quern {
namespace {

std::optional<TokenId> find_any(const Tokenizer& tokenizer, std::initializer_list<const char*> names) {
    for (const char* name : names)
        if (const auto token = tokenizer.find_piece(name)) return token;
    return std::nullopt;
}

void append(std::vector<TokenId>& tokens, const Tokenizer& tokenizer, const std::string& text) {
    const std::vector<TokenId> more = tokenizer.tokenize(text, {.add_special = false, .parse_special = false});
    tokens.insert(tokens.end(), more.begin(), more.end());
}

}  // namespace

std::optional<FillInTokens> fill_in_tokens(const Tokenizer& tokenizer) {
    const auto prefix =
        find_any(tokenizer, {"<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<｜fim▁begin｜>"});
    const auto suffix =
        find_any(tokenizer, {"<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<｜fim▁hole｜>"});
    const auto middle =
        find_any(tokenizer, {"<|fim_middle|>", "<fim_middle>", "<fim-middle>", "<MID>", "▁<MID>", "<|code_middle|>", "<｜fim▁end｜>"});
    if (!prefix || !suffix || !middle) return std::nullopt;
    return FillInTokens{.prefix = *prefix,
                        .suffix = *suffix,
                        .middle = *middle,
                        .repository = find_any(tokenizer, {"<|repo_name|>", "<|fim_repo|>", "<repo_name>", "<reponame>"}),
                        .file = find_any(tokenizer, {"<|file_sep|>", "<|fim_file|>", "<file_sep>", "<filename>"})};
}

std::vector<TokenId> fill_in_prompt(const Tokenizer& tokenizer, const FillIn& fill_in) {
    const auto control = fill_in_tokens(tokenizer);
    if (!control)
        throw ApiError(
            "Unsupported parameter: 'suffix': this model cannot fill in, since its vocabulary has no tokens for prefix, suffix and middle.",
            {.status = 400, .code = "unsupported_parameter", .param = "suffix"});
    std::vector<TokenId> tokens;
    if (tokenizer.adds_bos()) tokens.push_back(*tokenizer.vocabulary().bos);
    if (!fill_in.other_files.empty() && control->repository && control->file) {
        tokens.push_back(*control->repository);
        append(tokens, tokenizer, "project\n");
        for (const auto& [name, text] : fill_in.other_files) {
            tokens.push_back(*control->file);
            append(tokens, tokenizer, name + "\n" + text);
        }
        tokens.push_back(*control->file);
    } else {
        for (const auto& [name, text] : fill_in.other_files) append(tokens, tokenizer, text + "\n");
    }
    tokens.push_back(control->prefix);
    append(tokens, tokenizer, fill_in.prefix);
    tokens.push_back(control->suffix);
    append(tokens, tokenizer, fill_in.suffix);
    tokens.push_back(control->middle);
    append(tokens, tokenizer, fill_in.begun);
    return tokens;
}

}  // namespace quern
