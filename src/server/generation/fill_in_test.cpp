#include "server/generation/fill_in.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "server/http/errors.h"

namespace quern {
namespace {

/// A byte-level vocabulary of a few letters, and these control tokens behind them.
std::unique_ptr<const Tokenizer> tokenizer_with(std::vector<std::string_view> controls) {
    Vocabulary vocabulary{.model = TokenizerModel::bpe};
    vocabulary.pre = "gpt-2";
    vocabulary.pieces = {"a", "b", "c", "d", "e", "f", "i", "j", "l", "o", "p", "r", "t", "Ċ"};
    vocabulary.kinds.assign(vocabulary.pieces.size(), TokenKind::normal);
    for (const std::string_view control : controls) {
        vocabulary.pieces.push_back(control);
        vocabulary.kinds.push_back(TokenKind::control);
    }
    vocabulary.add_bos = false;
    return Tokenizer::create(std::move(vocabulary));
}

std::string prompt_text(const Tokenizer& tokenizer, const FillIn& fill_in) {
    return tokenizer.detokenize(fill_in_prompt(tokenizer, fill_in), true);
}

const FillIn simple{.prefix = "ab", .suffix = "cd", .begun = "", .other_files = {}};
const FillIn with_file{.prefix = "ab", .suffix = "cd", .begun = "e", .other_files = {{"a", "f"}}};

}  // namespace

TEST_CASE("the prompt for filling in is written as each family was trained on it") {
    struct Family {
        const char* name;
        std::vector<std::string_view> controls;
        const char* prompt;
    };
    const Family families[] = {
        {"Qwen2.5-Coder", {"<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"}, "<|fim_prefix|>ab<|fim_suffix|>cd<|fim_middle|>"},
        {"StarCoder2", {"<fim_prefix>", "<fim_middle>", "<fim_suffix>"}, "<fim_prefix>ab<fim_suffix>cd<fim_middle>"},
        {"DeepSeek-Coder", {"<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>"}, "<｜fim▁begin｜>ab<｜fim▁hole｜>cd<｜fim▁end｜>"},
        {"CodeLlama", {"▁<PRE>", "▁<MID>", "▁<SUF>"}, "▁<PRE>ab▁<SUF>cd▁<MID>"},
        {"CodeGemma",
         {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>"},
         "<|fim_prefix|>ab<|fim_suffix|>cd<|fim_middle|>"},
        {"Codestral", {"[PREFIX]", "[MIDDLE]", "[SUFFIX]"}, "[SUFFIX]cd[PREFIX]ab"},
        {"Seed-Coder", {"<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>"}, "<[fim-suffix]>cd<[fim-prefix]>ab<[fim-middle]>"},
    };
    for (const Family& family : families) {
        CAPTURE(family.name);
        CHECK(prompt_text(*tokenizer_with(family.controls), simple) == family.prompt);
    }
}

TEST_CASE("other files stand before, with the tokens of the repository where there are such") {
    const auto qwen = tokenizer_with({"<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|repo_name|>", "<|file_sep|>"});
    CHECK(prompt_text(*qwen, with_file) ==
          "<|repo_name|>project\n<|file_sep|>a\nf\n<|file_sep|>file\n<|fim_prefix|>ab<|fim_suffix|>cd<|fim_middle|>e");
    const auto star = tokenizer_with({"<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<repo_name>", "<file_sep>"});
    CHECK(prompt_text(*star, with_file) == "<repo_name>project<file_sep>a\nf\n<file_sep>file\n<fim_prefix>ab<fim_suffix>cd<fim_middle>e");
    const auto plain = tokenizer_with({"<fim_prefix>", "<fim_middle>", "<fim_suffix>"});
    CHECK(prompt_text(*plain, with_file) == "f\n<fim_prefix>ab<fim_suffix>cd<fim_middle>e");
}

TEST_CASE("what the file names goes before what tokens are called") {
    Vocabulary vocabulary{.model = TokenizerModel::bpe};
    vocabulary.pre = "gpt-2";
    vocabulary.pieces = {"a", "b", "c", "d", "<x>", "<y>", "<z>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"};
    vocabulary.kinds.assign(10, TokenKind::control);
    for (size_t i = 0; i < 4; ++i) vocabulary.kinds[i] = TokenKind::normal;
    vocabulary.fill_in = {.prefix = TokenId{4}, .suffix = TokenId{5}, .middle = TokenId{6}, .repository = {}, .file = {}};
    vocabulary.add_bos = false;
    CHECK(prompt_text(*Tokenizer::create(std::move(vocabulary)), simple) == "<x>ab<y>cd<z>");
}

TEST_CASE("a file that names a fill-in token outside its vocabulary is refused") {
    Vocabulary vocabulary{.model = TokenizerModel::bpe};
    vocabulary.pre = "gpt-2";
    vocabulary.pieces = {"a"};
    vocabulary.kinds = {TokenKind::normal};
    vocabulary.fill_in.middle = TokenId{1};
    CHECK_THROWS_AS(Tokenizer::create(std::move(vocabulary)), ModelError);
}

TEST_CASE("SentencePiece's space stands before the prefix and nowhere else") {
    Vocabulary vocabulary{.model = TokenizerModel::spm};
    vocabulary.pieces = {"<unk>", "▁", "a", "b", "▁<PRE>", "▁<SUF>", "▁<MID>"};
    vocabulary.kinds = {TokenKind::unknown, TokenKind::normal,  TokenKind::normal, TokenKind::normal,
                        TokenKind::control, TokenKind::control, TokenKind::control};
    vocabulary.scores.assign(7, 0.0f);
    vocabulary.unk = TokenId{0};
    vocabulary.add_bos = false;
    const auto tokenizer = Tokenizer::create(std::move(vocabulary));
    std::vector<int> ids;
    for (const TokenId token : fill_in_prompt(*tokenizer, {.prefix = "a", .suffix = "b", .begun = {}, .other_files = {}}))
        ids.push_back(token.value);
    CHECK(ids == std::vector<int>{4, 1, 2, 5, 3, 6});
}

TEST_CASE("texts never become control tokens, and a model without them is refused") {
    const auto tokenizer = tokenizer_with({"<fim_prefix>", "<fim_middle>", "<fim_suffix>"});
    const auto tokens = fill_in_prompt(*tokenizer, {.prefix = "<fim_middle>", .suffix = "", .begun = {}, .other_files = {}});
    CHECK(tokens.front() == tokenizer->find_piece("<fim_prefix>"));
    CHECK(std::count(tokens.begin(), tokens.end(), *tokenizer->find_piece("<fim_middle>")) == 1);
    try {
        fill_in_prompt(*tokenizer_with({"<fim_prefix>"}), simple);
        FAIL("no refusal");
    } catch (const ApiError& error) {
        CHECK(error.details().status == 400);
        CHECK(error.details().param == "suffix");
    }
}

}  // namespace quern
