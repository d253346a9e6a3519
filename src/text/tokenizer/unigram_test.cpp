// Unigram and its normalizer on small vocabularies and maps made here; tests/e2e/test_unigram.py compares trained ones with their
// originals.
#include "text/tokenizer/unigram.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <random>

#include "base/error.h"
#include "base/utf8.h"

namespace quern {
namespace {

#define MARK "\xE2\x96\x81"

struct Piece {
    std::string_view text;
    float score = 0;
    TokenKind kind = TokenKind::normal;
};

Vocabulary vocabulary_of(std::initializer_list<Piece> more) {
    Vocabulary v;
    v.model = TokenizerModel::unigram;
    v.add_bos = v.add_eos = false;
    const std::vector<Piece> specials = {{"<unk>", 0, TokenKind::unknown}, {"<s>", 0, TokenKind::control}, {"</s>", 0, TokenKind::control}};
    for (const auto& list : {specials, std::vector<Piece>(more)})
        for (const Piece& each : list) {
            v.pieces.push_back(each.text);
            v.scores.push_back(each.score);
            v.kinds.push_back(each.kind);
        }
    return v;
}

std::vector<std::string> pieces_of(const Vocabulary& v, std::string_view text) {
    std::vector<std::string> out;
    for (const TokenId id : Tokenizer::create(v)->tokenize(text)) out.emplace_back(v.pieces[static_cast<size_t>(id.value)]);
    return out;
}
using Texts = std::vector<std::string>;

/// A double array of keys that share no byte, and their replacements: the simplest way to lay one out.
std::vector<char> charsmap_of(const std::map<std::string, std::string>& entries) {
    std::vector<uint32_t> units(1 << 16);
    std::string replacements;
    uint32_t next = 256;  // where the next node's children begin: a block of 256 each
    units[0] = next << 10;
    std::map<std::string, uint32_t> base_of = {{"", next}};
    for (const auto& [key, value] : entries)
        for (size_t n = 1; n <= key.size(); ++n) {
            if (base_of.contains(key.substr(0, n))) continue;
            const uint32_t at = base_of[key.substr(0, n - 1)] ^ static_cast<uint8_t>(key[n - 1]);
            const uint32_t base = next += 256;
            base_of[key.substr(0, n)] = base;
            units[at] = static_cast<uint8_t>(key[n - 1]) | (base ^ at) << 10 | (entries.contains(key.substr(0, n)) ? 1u << 8 : 0);
        }
    for (const auto& [key, value] : entries) {
        units[base_of[key]] = 1u << 31 | static_cast<uint32_t>(replacements.size());
        replacements += value + '\0';
    }
    units.resize(next + 256);
    const auto n_bytes = static_cast<uint32_t>(units.size() * 4);
    std::vector<char> map(4 + n_bytes);
    std::memcpy(map.data(), &n_bytes, 4);
    std::memcpy(map.data() + 4, units.data(), n_bytes);
    map.insert(map.end(), replacements.begin(), replacements.end());
    return map;
}

std::string normalized(const std::vector<char>& map, std::string_view text) {
    std::string out;
    Charsmap(map).append_normalized(text, out);
    return out;
}

}  // namespace

TEST_CASE("Unigram takes the pieces whose scores add up to the most") {
    const Vocabulary v = vocabulary_of({{MARK, -5}, {"a", -3}, {"b", -3}, {"ab", -4}, {MARK "a", -2}, {"abb", -12}});
    CHECK(pieces_of(v, "ab") == Texts{MARK "a", "b"});
    CHECK(pieces_of(v, "abb ab") == Texts{MARK "a", "b", "b", MARK "a", "b"});
    CHECK(pieces_of(v, "bab") == Texts{MARK, "b", "ab"});
    CHECK(pieces_of(v, "").empty());
}

TEST_CASE("of two equal ways Unigram takes the one with the longer last piece") {
    CHECK(pieces_of(vocabulary_of({{MARK, 0}, {"a", -1}, {"aa", -1}}), "aaa") == Texts{MARK, "a", "aa"});
}

TEST_CASE("neighbours that Unigram does not know are one unknown token, or bytes where all are there") {
    Vocabulary v = vocabulary_of({{MARK, -1}, {"a", -1}, {"[PAD4]", -1000, TokenKind::unused}});
    CHECK(pieces_of(v, "xya\xFFz") == Texts{MARK, "<unk>", "a", "<unk>"});
    std::vector<std::string> names;
    for (int byte = 0; byte < 256; ++byte) {
        char name[8];
        std::snprintf(name, sizeof name, "<0x%02X>", byte);
        names.emplace_back(name);
    }
    for (const std::string& name : names) {
        v.pieces.push_back(name);
        v.scores.push_back(0);
        v.kinds.push_back(TokenKind::byte);
    }
    CHECK(pieces_of(v, "xya") == Texts{MARK, "<0x78>", "<0x79>", "a"});
    CHECK(Tokenizer::create(v)->detokenize(Tokenizer::create(v)->tokenize("xya \xE4\xB8\xAD")) == "xya \xE4\xB8\xAD");
}

TEST_CASE("extra spaces stay or go as the file says") {
    Vocabulary v = vocabulary_of({{MARK, -1}, {"a", -1}});
    CHECK(pieces_of(v, " a  a ") == Texts{MARK, "a", MARK, MARK, "a", MARK});
    v.remove_extra_whitespaces = true;
    CHECK(pieces_of(v, " a \n a ") == Texts{MARK, "a", MARK, "a"});
    CHECK(pieces_of(v, "  ").empty());
    v.add_space_prefix = false;
    CHECK(pieces_of(v, " a a ") == Texts{"a", MARK, "a"});
}

TEST_CASE("special tokens stand around the text where the vocabulary asks for it") {
    Vocabulary v = vocabulary_of({{MARK "a", -1}});
    v.add_bos = v.add_eos = true;
    CHECK(pieces_of(v, "a") == Texts{"<s>", MARK "a", "</s>"});
}

TEST_CASE("two texts become one with separators between them") {
    Vocabulary v = vocabulary_of({{MARK "a", -1}, {MARK "b", -1}});
    v.add_bos = v.add_eos = true;
    const Tokenizer::Pair pair = Tokenizer::create(v)->tokenize_pair("a", "b b");
    std::vector<int32_t> ids;
    for (const TokenId id : pair.tokens) ids.push_back(id.value);
    CHECK(ids == std::vector<int32_t>{1, 3, 2, 2, 4, 4, 2});
    CHECK(pair.second_begin == 3);
}

TEST_CASE("scores that are no numbers and pieces of any size still give an end") {
    const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
    const std::string huge(100'000, 'a');
    const Vocabulary v = vocabulary_of({{MARK, nan}, {"a", -inf}, {"aa", inf}, {huge, 5}, {"\xE4\xB8", 3}});
    const auto tokenizer = Tokenizer::create(v);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(!tokenizer->tokenize(huge + "\xE4\xB8\xAD\xE4\xB8").empty());
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
}

TEST_CASE("a map of characters replaces clusters first, then single characters") {
    const auto map = charsmap_of({{"\xEF\xBC\xA1", "A"}, {"\xE2\x84\xA2", "TM"}, {"\x01", ""}, {"e\xCC\x81", "\xC3\xA9"}});
    CHECK(normalized(map, "x\xEF\xBC\xA1y\xE2\x84\xA2\x01z") == "xAyTMz");
    CHECK(normalized(map, "e\xCC\x81") == "\xC3\xA9");
    CHECK(normalized(map, "\xFF-\xE2\x84") == "\xEF\xBF\xBD-\xEF\xBF\xBD\xEF\xBF\xBD");
    CHECK(normalized({}, "as it is") == "as it is");
}

TEST_CASE("a broken map is refused or read, never a crash and never without bound") {
    const auto map = charsmap_of({{"\xEF\xBC\xA1", "A"}, {"\x01", std::string(1000, 'x')}});
    CHECK(normalized(map, "\x01") == "\x01");  // such a long replacement is none
    for (const size_t n : {1, 3, 4, 5, 100}) CHECK_THROWS_AS(Charsmap(std::span(map).first(n)), ModelError);
    CHECK_THROWS_AS(Charsmap(std::vector<char>(8, '\xFF')), ModelError);
    std::mt19937 random(5);
    std::string text;
    for (int i = 0; i < 300; ++i) append_utf8(text, random() % 0xD800);
    for (int round = 0; round < 200; ++round) {
        auto broken = map;
        for (int i = 0; i < 1 << round % 12; ++i) broken[4 + random() % (broken.size() - 4)] = static_cast<char>(random());
        CHECK(normalized(broken, text).size() <= text.size() * Charsmap::most_replaced_bytes);
    }
}

}  // namespace quern
