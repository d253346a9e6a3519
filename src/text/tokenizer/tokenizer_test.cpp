// Tokenizers on small vocabularies made here; tests/e2e/test_tokenizers.py compares whole ones with their originals.
#include "text/tokenizer/tokenizer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <random>

#include "base/error.h"

namespace quern {
namespace {

/// A vocabulary that owns its texts.
class Pieces {
  public:
    int32_t add(std::string piece, TokenKind kind = TokenKind::normal, float score = 0.0f) {
        texts_.push_back(std::move(piece));
        vocabulary.pieces.push_back(texts_.back());
        vocabulary.kinds.push_back(kind);
        vocabulary.scores.push_back(score);
        return static_cast<int32_t>(vocabulary.pieces.size()) - 1;
    }
    void merge(std::string text) {
        texts_.push_back(std::move(text));
        vocabulary.merges.push_back(texts_.back());
    }
    Vocabulary vocabulary;

  private:
    std::deque<std::string> texts_;
};

/// GPT-2's spelling of a byte.
std::string spelling(int byte) {
    static const std::vector<int> code_points = [] {
        std::vector<int> all;
        int next = 256;
        for (int b = 0; b < 256; ++b) all.push_back((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174 ? b : next++);
        return all;
    }();
    const int c = code_points[static_cast<size_t>(byte)];
    if (c < 128) return std::string(1, static_cast<char>(c));
    return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
}

/// All bytes, "he", "ll", "hell", and the control tokens <s>, </s> and [PAD0].
Pieces bpe_pieces() {
    Pieces p;
    p.vocabulary.model = TokenizerModel::bpe;
    p.vocabulary.pre = "gpt-2";
    for (int byte = 0; byte < 256; ++byte) p.add(spelling(byte));
    p.add("he");
    p.add("ll");
    p.add("hell");
    p.merge("h e");
    p.merge("l l");
    p.merge("he ll");
    p.vocabulary.bos = TokenId{p.add("<s>", TokenKind::control)};
    p.vocabulary.eos = TokenId{p.add("</s>", TokenKind::control)};
    p.add("[PAD0]", TokenKind::unused);
    p.add("<|im_end|>", TokenKind::control);
    return p;
}

/// <unk>, <s>, </s>, all byte tokens, the space mark, some letters and words.
Pieces spm_pieces() {
    Pieces p;
    p.vocabulary.model = TokenizerModel::spm;
    p.vocabulary.unk = TokenId{p.add("<unk>", TokenKind::unknown)};
    p.vocabulary.bos = TokenId{p.add("<s>", TokenKind::control)};
    p.vocabulary.eos = TokenId{p.add("</s>", TokenKind::control)};
    for (int byte = 0; byte < 256; ++byte) {
        char name[8];
        std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
        p.add(name, TokenKind::byte);
    }
    float score = -1;
    for (const char* piece : {"ab",
                              "\xE2\x96\x81"
                              "ab",
                              "abab", "\xE2\x96\x81", "a", "b"})
        p.add(piece, TokenKind::normal, score--);
    return p;
}

std::vector<std::string> texts_of(const Tokenizer& tokenizer, std::string_view text, TokenizeOptions options = {.add_special = false}) {
    std::vector<std::string> out;
    for (const TokenId id : tokenizer.tokenize(text, options)) out.push_back(tokenizer.token_bytes(id, true));
    return out;
}

using Texts = std::vector<std::string>;

/// Spaces, "▁▁", "▁a", "▁b", "a", "b", "▁" and the control tokens <s>, </s>, by id from 0 on.
Pieces spaced_pieces() {
    Pieces pieces;
    for (const char* piece : {"▁▁", "▁a", "▁b", "a", "b", "▁"}) pieces.add(piece, TokenKind::normal, piece[0] == 'a' ? 0.0f : 1.0f);
    pieces.add("<s>", TokenKind::control);
    pieces.add("</s>", TokenKind::control);
    pieces.add("<unk>", TokenKind::unknown);
    pieces.vocabulary.model = TokenizerModel::spm;
    pieces.vocabulary.add_bos = false;
    return pieces;
}

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text, TokenizeOptions options) {
    std::vector<int32_t> ids;
    for (const TokenId id : tokenizer.tokenize(text, options)) ids.push_back(id.value);
    return ids;
}

TEST_CASE("where a space is put before a text is as the vocabulary says") {
    const auto ids = [](SpacePrefix prefix, bool splits, std::string_view text) {
        Pieces pieces = spaced_pieces();
        pieces.vocabulary.space_prefix = prefix;
        pieces.vocabulary.splits_at_spaces = splits;
        return ids_of(*Tokenizer::create(pieces.vocabulary), text, {.parse_special = true});
    };
    using Ids = std::vector<int32_t>;
    CHECK(ids(SpacePrefix::fragments, false, "a</s>b") == Ids{1, 7, 2});
    CHECK(ids(SpacePrefix::fragments, false, " a") == Ids{0, 3});
    CHECK(ids(SpacePrefix::fragment_words, false, " a</s> b</s>b") == Ids{1, 7, 2, 7, 2});
    CHECK(ids(SpacePrefix::text_words, false, "a</s>b") == Ids{1, 7, 4});
    CHECK(ids(SpacePrefix::text_words, false, "</s>b") == Ids{7, 4});
    CHECK(ids(SpacePrefix::text_words, true, "a  b") == Ids{1, 5, 2});
}

TEST_CASE("a special token takes the white space with it that its vocabulary says, but not that of the one before") {
    Pieces pieces = spaced_pieces();
    pieces.vocabulary.add_space_prefix = false;
    pieces.vocabulary.strips_behind = {{7}};
    pieces.vocabulary.strips_before = {{6}};
    const auto tokenizer = Tokenizer::create(pieces.vocabulary);
    const TokenizeOptions options{.parse_special = true};
    using Ids = std::vector<int32_t>;
    CHECK(ids_of(*tokenizer, "a</s> \n\xE3\x80\x80 b", options) == Ids{3, 7, 4});
    CHECK(ids_of(*tokenizer, "a \xC2\xA0 <s> b", options) == Ids{3, 6, 2});
    CHECK(ids_of(*tokenizer, "</s>  <s>", options) == Ids{7, 6});
    CHECK(ids_of(*tokenizer, " \n</s>", {}).size() > 1);  // a text that is spelt like it
    pieces.vocabulary.strips_before = {{100}};
    CHECK_THROWS_WITH_AS(Tokenizer::create(pieces.vocabulary), "the stripping token is 100, but the vocabulary has 9 tokens", ModelError);
}

TEST_CASE("user-defined runs of spaces are spaces in the text, and the unknown token is nothing") {
    Pieces pieces = spaced_pieces();
    pieces.vocabulary.add_space_prefix = false;
    pieces.vocabulary.kinds[0] = TokenKind::user_defined;
    const auto tokenizer = Tokenizer::create(pieces.vocabulary);
    const TokenId tokens[] = {{3}, {0}, {8}, {4}};
    CHECK(tokenizer->detokenize(tokens) == "a  b");
    CHECK(tokenizer->detokenize(tokens, true) == "a  <unk>b");
}

}  // namespace

TEST_CASE("byte-level BPE merges in the order of its merges") {
    const Pieces p = bpe_pieces();
    const auto tokenizer = Tokenizer::create(p.vocabulary);
    CHECK(texts_of(*tokenizer, "hello") == Texts{"hell", "o"});
    CHECK(texts_of(*tokenizer, "llhe") == Texts{"ll", "he"});
    CHECK(texts_of(*tokenizer, "hell hell") == Texts{"hell", " ", "hell"});
    CHECK(texts_of(*tokenizer, "") == Texts{});
}

TEST_CASE("SentencePiece joins the best pieces and falls back to bytes") {
    const Pieces p = spm_pieces();
    const auto tokenizer = Tokenizer::create(p.vocabulary);
    CHECK(texts_of(*tokenizer, "ab") == Texts{" ab"});
    CHECK(texts_of(*tokenizer, "xab") == Texts{" ", "x", "ab"});
    CHECK(texts_of(*tokenizer, "\xC3\xA9") == Texts{" ", "\xC3", "\xA9"});
    const auto ids = tokenizer->tokenize("ab ab");
    CHECK(tokenizer->detokenize(ids) == "ab ab");
}

TEST_CASE("whatever the bytes are, tokens give them back") {
    const Pieces bpe = bpe_pieces(), spm = spm_pieces();
    std::mt19937 random(3);
    for (const Vocabulary* vocabulary : {&bpe.vocabulary, &spm.vocabulary}) {
        const auto tokenizer = Tokenizer::create(*vocabulary);
        for (int i = 0; i < 300; ++i) {
            std::string text(random() % 40, '\0');
            for (char& c : text) c = static_cast<char>(random() % 3 == 0 ? "hel ab\n"[random() % 7] : static_cast<int>(random() % 256));
            const auto ids = tokenizer->tokenize(text, {.add_special = false});
            if (vocabulary->model == TokenizerModel::bpe) CHECK(tokenizer->detokenize(ids) == text);
            for (const TokenId id : ids) CHECK((id.value >= 0 && id.value < tokenizer->n_vocab()));
        }
    }
}

TEST_CASE("control tokens in a text are text unless they are asked for, and never inside a literal part") {
    const Pieces p = bpe_pieces();
    const auto tokenizer = Tokenizer::create(p.vocabulary);
    CHECK(texts_of(*tokenizer, "<s>").size() == 3);
    CHECK(texts_of(*tokenizer, "a<s>b", {.add_special = false, .parse_special = true}) == Texts{"a", "<s>", "b"});
    const TextRange user{1, 4};
    CHECK(texts_of(*tokenizer, "a<s>b<s>", {.add_special = false, .parse_special = true, .literal = {&user, 1}}) ==
          Texts{"a", "<", "s", ">", "b", "<s>"});
}

TEST_CASE("ends, padding and hidden tokens") {
    const Pieces p = bpe_pieces();
    const auto tokenizer = Tokenizer::create(p.vocabulary);
    const auto id = [&](std::string_view piece) { return tokenizer->find_piece(piece).value(); };
    CHECK(tokenizer->is_end_of_generation(id("</s>")));
    CHECK(tokenizer->is_end_of_generation(id("<|im_end|>")));
    CHECK(!tokenizer->is_end_of_generation(id("<s>")));
    CHECK(!tokenizer->is_end_of_generation(TokenId{-1}));
    CHECK(!tokenizer->is_end_of_generation(TokenId{1 << 30}));
    const std::vector<TokenId>& never = tokenizer->never_sampled();
    CHECK(std::any_of(never.begin(), never.end(), [&](TokenId t) { return t.value == id("[PAD0]").value; }));
    for (const TokenId hidden : {id("</s>"), id("[PAD0]"), TokenId{-1}, TokenId{1 << 30}}) CHECK(tokenizer->token_bytes(hidden).empty());
    CHECK(tokenizer->token_bytes(id("</s>"), true) == "</s>");
}

TEST_CASE("a vocabulary that cannot be used is refused") {
    const auto refuse = [](auto change) {
        Pieces p = bpe_pieces();
        change(p);
        CHECK_THROWS_AS(Tokenizer::create(p.vocabulary), ModelError);
    };
    refuse([](Pieces& p) { p.vocabulary.pieces.clear(); });
    refuse([](Pieces& p) { p.vocabulary.kinds.pop_back(); });
    refuse([](Pieces& p) { p.vocabulary.bos = TokenId{100000}; });
    refuse([](Pieces& p) { p.vocabulary.eos = TokenId{-5}; });
    refuse([](Pieces& p) { p.vocabulary.extra_end_of_generation.push_back({1 << 20}); });
    refuse([](Pieces& p) { p.merge("nospace"); });
    refuse([](Pieces& p) { p.merge(" e"); });
    refuse([](Pieces& p) {
        for (int byte = 0; byte < 256; ++byte) p.vocabulary.pieces[static_cast<size_t>(byte)] = "xx";
    });
    Pieces strange = bpe_pieces();  // merges of pieces that are not there, twice, or of nothing
    for (const char* merge : {"q z", "h e", "h ", "  "}) strange.merge(merge);
    CHECK(texts_of(*Tokenizer::create(strange.vocabulary), "hell") == Texts{"hell"});
}

TEST_CASE("a megabyte of anything takes no longer than it should") {
    const Pieces bpe = bpe_pieces(), spm = spm_pieces();
    for (const Vocabulary* vocabulary : {&bpe.vocabulary, &spm.vocabulary}) {
        const auto tokenizer = Tokenizer::create(*vocabulary);
        for (const char* unit : {"a", " ", "l", "ab", "\n", "\xFF", "he "}) {
            std::string text;
            while (text.size() < 1 << 20) text += unit;
            const auto start = std::chrono::steady_clock::now();
            CHECK(!tokenizer->tokenize(text).empty());
            // 2 s is what one may wait; the rest is room for sanitizers and busy machines.
            CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
        }
    }
}

TEST_CASE("the pattern of a model file cuts words, and one that is none is refused") {
    Pieces p = bpe_pieces();
    p.vocabulary.pre_patterns = {"h", "e"};
    const auto tokenizer = Tokenizer::create(p.vocabulary);
    CHECK(tokenizer->tokenize("hell", {.add_special = false}).size() == 3);  // "h", "e", "ll"
    p.vocabulary.pre_patterns = {"(["};
    CHECK_THROWS_AS(Tokenizer::create(p.vocabulary), ModelError);
}

TEST_CASE("a pattern that would try for ever gives up") {
    Pieces p = bpe_pieces();
    p.vocabulary.pre_patterns = {"(a|a)*(a|a)*(a|a)*b$"};
    const auto tokenizer = Tokenizer::create(p.vocabulary);
    const auto start = std::chrono::steady_clock::now();
    CHECK(tokenizer->tokenize(std::string(60, 'a') + "c", {.add_special = false}).size() == 61);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
}

TEST_CASE("a tokenizer that asks for composed characters gets them, and bytes that are no text stay") {
    Pieces p = bpe_pieces();
    p.vocabulary.normalizes_to_nfc = true;
    const auto tokenizer = Tokenizer::create(p.vocabulary);
    const auto ids = [&](std::string_view text) { return tokenizer->tokenize(text, {.add_special = false}); };
    CHECK(ids("e\xCC\x81") == ids("\xC3\xA9"));
    CHECK(ids("\xFF\x65\xCC\x81\xC3") == ids("\xFF\xC3\xA9\xC3"));
}

TEST_CASE("SentencePiece pieces merge by the merges where the file lists them") {
    Pieces p;
    p.vocabulary.model = TokenizerModel::spm;
    p.vocabulary.add_space_prefix = false;
    p.add("<unk>", TokenKind::unknown);
    for (const char* piece : {"a", "b", "c"}) p.add(piece);
    p.add("ab", TokenKind::normal, -1.0f);
    const int32_t abc = p.add("abc", TokenKind::normal, -3.0f);
    p.add("bc", TokenKind::normal, -2.0f);
    p.merge("b c");
    p.merge("a b");
    const auto by_merges = Tokenizer::create(p.vocabulary)->tokenize("abc", {.add_special = false});
    CHECK(by_merges.size() == 2);  // "a", "bc": no merge makes "abc" of them
    p.vocabulary.merges.clear();
    const auto by_scores = Tokenizer::create(p.vocabulary)->tokenize("abc", {.add_special = false});
    REQUIRE(by_scores.size() == 1);
    CHECK(by_scores[0].value == abc);
    p.merge("nothing");
    CHECK_THROWS_AS(Tokenizer::create(p.vocabulary), ModelError);
}

}  // namespace quern
