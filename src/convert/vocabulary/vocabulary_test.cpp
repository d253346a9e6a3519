#include <doctest/doctest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "convert/vocabulary/pre_tokenizer_name.h"
#include "convert/vocabulary/sentencepiece_model.h"
#include "convert/vocabulary/tokenizer_json.h"
#include "convert/vocabulary/vocabulary_files.h"

using namespace quern;
using nlohmann::json;

namespace {

std::string bytes_field(int number, const std::string& bytes) {
    return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + bytes;
}
std::string number_field(int number, char value) { return {static_cast<char>(number << 3), value}; }
std::string piece(const std::string& text, float score, char kind) {
    std::string field(1, static_cast<char>(2 << 3 | 5));
    field.append(reinterpret_cast<const char*>(&score), 4);
    return bytes_field(1, bytes_field(1, text) + field + number_field(3, kind));
}

ConvertedVocabulary read_model(const std::string& file) { return read_sentencepiece_model(std::as_bytes(std::span(file)), "f"); }
ConvertedVocabulary read_json(const json& value) {
    return read_tokenizer_json(value, "f", [](const std::string&) {});
}

const std::string model = piece("<unk>", 0, 2) +
                          piece(
                              "\xE2\x96\x81"
                              "a",
                              -1.5f, 1) +
                          piece("<0x41>", 0, 6) + bytes_field(2, number_field(3, 2)) +
                          bytes_field(3, bytes_field(2, "map") + number_field(3, 0));

}  // namespace

TEST_CASE("a SentencePiece model gives pieces, scores, types and its normalizer") {
    const ConvertedVocabulary v = read_model(model);
    CHECK(v.model == "llama");
    CHECK(v.pieces == std::vector<std::string>{"<unk>",
                                               "\xE2\x96\x81"
                                               "a",
                                               "<0x41>"});
    CHECK(v.scores == std::vector<float>{0, -1.5f, 0});
    CHECK(v.kinds == std::vector<int32_t>{2, 1, 6});
    CHECK(v.charsmap == "map");
    CHECK(v.add_space_prefix == false);
    CHECK(v.remove_extra_whitespaces == true);
    CHECK(read_model(piece("a", 0, 1) + bytes_field(2, number_field(3, 1))).model == "t5");
}

TEST_CASE("a broken SentencePiece model is refused or read, never a crash") {
    CHECK_THROWS_AS(read_model(""), ModelError);
    CHECK_THROWS_AS(read_model(std::string(20, '\xFF')), ModelError);
    CHECK_THROWS_AS(read_model(piece("a", 0, 7)), ModelError);
    CHECK_THROWS_AS(read_model(piece("\xFF", 0, 1)), ModelError);
    std::mt19937 random(1);
    for (int i = 0; i < 20000; ++i) {
        std::string changed = model.substr(0, random() % model.size() + 1);
        changed[random() % changed.size()] = static_cast<char>(random());
        try {
            read_model(changed);
        } catch (const ModelError&) {
        }
    }
}

TEST_CASE("merges are read in both spellings") {
    const std::vector<std::string> expected{"a b", "ab c"};
    CHECK(read_merges(json::parse(R"(["a b", "ab c"])"), "f") == expected);
    CHECK(read_merges(json::parse(R"([["a", "b"], ["ab", "c"]])"), "f") == expected);
    CHECK_THROWS_AS(read_merges(json::parse(R"([["a"]])"), "f"), ModelError);
    CHECK_THROWS_AS(read_merges(json::parse(R"([3])"), "f"), ModelError);
    CHECK_THROWS_AS(read_merges(json::parse(R"({})"), "f"), ModelError);
}

TEST_CASE("a tokenizer.json of the wrong shape is refused") {
    for (const char* text :
         {"{}", "[]", "3", R"({"model":3})", R"({"model":{"type":"BPE","vocab":[1]}})", R"({"model":{"type":"BPE","vocab":{"a":"b"}}})",
          R"({"model":{"type":"BPE","vocab":{"a":-1}}})", R"({"model":{"type":"BPE","vocab":{"a":99999999999}}})",
          R"({"model":{"type":"Other","vocab":{"a":1}}})", R"({"model":{"type":"Unigram","vocab":[["a"]]}})",
          R"({"model":{"type":"WordPiece","vocab":{},"continuing_subword_prefix":"@"}})",
          R"({"model":{"type":"BPE","vocab":{"a":0}},"added_tokens":[{"id":"x"}]})"})
        CHECK_THROWS_AS(read_json(json::parse(text)), ModelError);
}

TEST_CASE("known patterns have names, whatever their spelling, and others none") {
    const auto name = [](const char* text, bool whole = false) {
        const auto patterns = pre_tokenizer_patterns(json::parse(text));
        return patterns ? pre_tokenizer_name(*patterns, whole) : "?";
    };
    CHECK(name(R"({"type":"ByteLevel","use_regex":true})") == "gpt-2");
    CHECK(name(R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel"}]})") == "smollm");
    const char* coder = R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"[\r\n]"},"behavior":"Isolated"},
        {"type":"Split","pattern":{"Regex":"\\s?\\p{L}+"},"behavior":"Isolated"},{"type":"Split","pattern":{"Regex":"\\s?\\p{P}+"},"behavior":"Isolated"},
        {"type":"Split","pattern":{"Regex":"[一-龥ࠀ-一가-퟿]+"},"behavior":"Isolated"},{"type":"Digits","individual_digits":true},{"type":"ByteLevel","use_regex":false}]})";
    CHECK(name(coder) == "deepseek-coder");
    CHECK(name(R"({"type":"Split","pattern":{"Regex":"a+"},"behavior":"Isolated"})") == "");
    CHECK(name(R"({"type":"Split","pattern":{"Regex":"a+"},"behavior":"MergedWithNext"})") == "?");
    CHECK(pre_tokenizer_patterns(json::parse(R"({"type":"Split","pattern":{"String":"a.b"},"behavior":"Isolated"})"))->front() == "a\\.b");
    std::string deep = "null";
    for (int i = 0; i < 30; ++i) deep = R"({"type":"Sequence","pretokenizers":[)" + deep + "]}";
    CHECK(name(deep.c_str()) == "?");
}

TEST_CASE("tiktoken's ranks give the merges that made them") {
    // a b c ab abc
    const ConvertedVocabulary v = read_tiktoken("YQ== 0\nYg== 1\nYw== 2\nYWI= 3\nYWJj 4\n", "f");
    CHECK(v.pieces == std::vector<std::string>{"a", "b", "c", "ab", "abc"});
    CHECK(v.merges == std::vector<std::string>{"a b", "ab c"});
    for (const char* text : {"YQ==", "YQ== x", "!! 1", " 1", "YQ== -1", "YQ== 99999999999"})
        CHECK_THROWS_AS(read_tiktoken(text, "f"), ModelError);
}

TEST_CASE("GPT-2's two files and BERT's list are read") {
    const ConvertedVocabulary v = read_gpt2_files(R"({"a":0,"b":1,"ab":2})", "#version: 0.2\na b\r\n", "f");
    CHECK(v.merges == std::vector<std::string>{"a b"});
    CHECK_THROWS_AS(read_gpt2_files("{}", "ab\n", "f"), ModelError);
    ConvertedVocabulary words = read_vocab_txt("[PAD]\n[UNK]\nhow\n##ever\n", "f");
    mark_word_starts(words);
    CHECK(words.pieces == std::vector<std::string>{"[PAD]", "[UNK]", "\xE2\x96\x81how", "ever"});
    CHECK(words.special_ids.at("unknown") == 1);
    CHECK_THROWS_AS(read_vocab_txt("\xFF\n", "f"), ModelError);
}

TEST_CASE("padding is unused and never takes the place of a token") {
    ConvertedVocabulary v;
    v.set(0, "a", TokenKind::normal);
    v.set(3, "<|end|>", TokenKind::control);
    pad_vocabulary(v, 6);
    CHECK(v.pieces == std::vector<std::string>{"a", "[PAD1]", "[PAD2]", "<|end|>", "[PAD4]", "[PAD5]"});
    CHECK(v.kinds == std::vector<int32_t>{1, 5, 5, 3, 5, 5});
    CHECK_THROWS_AS(pad_vocabulary(v, 5), ModelError);
}
