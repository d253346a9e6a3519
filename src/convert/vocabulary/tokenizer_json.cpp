#include "convert/vocabulary/tokenizer_json.h"

#include <algorithm>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/printable.h"
#include "convert/vocabulary/base64.h"
#include "convert/vocabulary/pre_tokenizer_name.h"

namespace quern {
namespace {

using Json = nlohmann::json;

[[noreturn]] void fail(std::string_view path, std::string_view what) { throw ModelError(concat(printable(path), ": ", what)); }

const Json& member(const Json& json, const char* name) {
    static const Json none;
    if (!json.is_object()) return none;
    const auto found = json.find(name);
    return found == json.end() ? none : *found;
}

std::string text_of(const Json& json, const char* name) {
    const Json& value = member(json, name);
    return value.is_string() ? value.get<std::string>() : std::string();
}

bool is_true(const Json& json, const char* name) { return member(json, name) == true; }

/// The step itself and, of a Sequence, all its steps.
std::vector<const Json*> steps_of(const Json& step, const char* list_name) {
    std::vector<const Json*> steps;
    if (text_of(step, "type") != "Sequence") {
        if (step.is_object()) steps.push_back(&step);
        return steps;
    }
    for (const Json& each : member(step, list_name))
        if (each.is_object()) steps.push_back(&each);
    return steps;
}

bool has_step(const std::vector<const Json*>& steps, std::string_view type) {
    return std::any_of(steps.begin(), steps.end(), [&](const Json* step) { return text_of(*step, "type") == type; });
}

std::string model_type(const Json& model) {
    if (std::string type = text_of(model, "type"); !type.empty()) return type;
    if (member(model, "vocab").is_array()) return "Unigram";
    return member(model, "merges").is_array() ? "BPE" : "WordPiece";
}

bool is_byte_piece(std::string_view piece) { return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with(">"); }

/// Pieces of bytes and the unknown token have types of their own in SentencePiece's vocabularies.
void set_sentencepiece_kinds(const std::string& unknown, ConvertedVocabulary& out) {
    for (size_t id = 0; id < out.n_tokens(); ++id) {
        if (is_byte_piece(out.pieces[id])) out.kinds[id] = static_cast<int32_t>(TokenKind::byte);
        if (out.pieces[id] == unknown && out.kinds[id] != 0) {
            out.kinds[id] = static_cast<int32_t>(TokenKind::unknown);
            out.special_ids["unknown"] = static_cast<int32_t>(id);
        }
    }
}

/// SentencePiece merges by the score of what comes out, here the negative rank of the first merge that makes it; programs that know the
/// merges themselves use those.
void score_by_merges(ConvertedVocabulary& out) {
    std::unordered_map<std::string_view, size_t> ids;
    for (size_t id = 0; id < out.n_tokens(); ++id) ids.emplace(out.pieces[id], id);
    out.scores.assign(out.n_tokens(), 0.0f);
    for (size_t rank = out.merges.size(); rank-- > 0;) {
        const std::string& merge = out.merges[rank];
        const size_t space = merge.find(' ', 1);
        if (space == std::string::npos) continue;
        const auto found = ids.find(merge.substr(0, space) + merge.substr(space + 1));
        if (found != ids.end()) out.scores[found->second] = -1.0f - static_cast<float>(rank);
    }
}

/// Whether a space is put before the text: by a normalizer, or by the pre-tokenizer Metaspace.
bool adds_space_prefix(const Json& json) {
    const auto normalizers = steps_of(member(json, "normalizer"), "normalizers");
    if (has_step(normalizers, "Prepend")) return true;
    for (const Json* step : steps_of(member(json, "pre_tokenizer"), "pretokenizers"))
        if (text_of(*step, "type") == "Metaspace") {
            const std::string scheme = text_of(*step, "prepend_scheme");
            return scheme.empty() ? member(*step, "add_prefix_space") != false : scheme != "never";
        }
    return false;
}

/// Unlike SentencePiece, Metaspace puts no space where one is already, and may cut at each.
void read_metaspace(const Json& json, ConvertedVocabulary& out) {
    const bool prepends = has_step(steps_of(member(json, "normalizer"), "normalizers"), "Prepend");
    for (const Json* step : steps_of(member(json, "pre_tokenizer"), "pretokenizers")) {
        if (text_of(*step, "type") != "Metaspace") continue;
        out.splits_at_spaces = member(*step, "split") != false;
        if (out.add_space_prefix == true && !prepends) out.space_prefix = text_of(*step, "prepend_scheme") == "first" ? "first" : "always";
    }
}

void read_pre_tokenizer(const Json& json, const VocabularyWarning& warn, ConvertedVocabulary& out) {
    const bool whole_words = is_true(member(json, "model"), "ignore_merges");
    const auto patterns = pre_tokenizer_patterns(member(json, "pre_tokenizer"));
    if (!patterns) {
        warn("the tokenizer cuts texts in a way that is no sequence of patterns; texts may become other tokens than in the original");
        return;
    }
    out.pre = pre_tokenizer_name(*patterns, whole_words);
    if (!out.pre.empty()) return;
    out.pre_patterns = *patterns;
    out.takes_whole_words = whole_words;
    if (patterns->empty()) out.pre_patterns = {R"([\s\S]+)"};  // no cut at all
}

void read_normalizers(const Json& json, const VocabularyWarning& warn, ConvertedVocabulary& out) {
    for (const Json* step : steps_of(member(json, "normalizer"), "normalizers")) {
        const std::string type = text_of(*step, "type");
        if (type == "NFC")
            out.normal_form = "nfc";
        else
            warn(concat("the tokenizer's normalizer ", quoted(type),
                        " is not known for BPE of bytes; texts may become other tokens than in the original"));
    }
    for (const Json* step : steps_of(member(json, "pre_tokenizer"), "pretokenizers"))
        if (text_of(*step, "type") == "ByteLevel" && is_true(*step, "add_prefix_space"))
            warn("the tokenizer puts a space before texts; quern does not");
}

void read_bpe(const Json& json, std::string_view path, const VocabularyWarning& warn, ConvertedVocabulary& out) {
    const Json& model = member(json, "model");
    out.merges = read_merges(member(model, "merges"), path);
    const bool of_bytes = has_step(steps_of(member(json, "pre_tokenizer"), "pretokenizers"), "ByteLevel") ||
                          has_step(steps_of(member(json, "decoder"), "decoders"), "ByteLevel");
    if (of_bytes) {
        out.model = "gpt2";
        read_pre_tokenizer(json, warn, out);
        return read_normalizers(json, warn, out);
    }
    out.model = "llama";
    out.add_space_prefix = adds_space_prefix(json);
    read_metaspace(json, out);
    set_sentencepiece_kinds(text_of(model, "unk_token"), out);
    score_by_merges(out);
}

/// GGUF marks where words begin, WordPiece where they go on.
void read_wordpiece(const Json& json, std::string_view path, const VocabularyWarning& warn, ConvertedVocabulary& out) {
    const Json& model = member(json, "model");
    const std::string prefix = member(model, "continuing_subword_prefix").is_string() ? text_of(model, "continuing_subword_prefix") : "##";
    if (prefix != "##") fail(path, concat("the model marks what goes on a word by ", quoted(prefix), "; quern knows ##"));
    out.model = "bert";
    const auto flag = [](const Json& value) { return value.is_boolean() ? std::optional(value.get<bool>()) : std::nullopt; };
    const auto normalizers = steps_of(member(json, "normalizer"), "normalizers");
    for (const Json* step : normalizers) {
        if (text_of(*step, "type") != "BertNormalizer") {
            warn(concat("the tokenizer's normalizer ", quoted(text_of(*step, "type")),
                        " is not known for WordPiece; texts may become other tokens than in the original"));
            continue;
        }
        out.lowercase = flag(member(*step, "lowercase"));
        out.strip_accents = flag(member(*step, "strip_accents"));
        out.chinese_characters_apart = flag(member(*step, "handle_chinese_chars"));
    }
    if (!out.lowercase) out.lowercase = !normalizers.empty();  // as it stands, without a normalizer
    const std::string unknown = text_of(model, "unk_token");
    if (const auto id = out.find(unknown)) out.special_ids["unknown"] = *id;
}

/// SentencePiece's map of characters, and whether runs of spaces count as one.
void read_unigram_normalizer(const Json& json, std::string_view path, const VocabularyWarning& warn, ConvertedVocabulary& out) {
    out.remove_extra_whitespaces = has_step(steps_of(member(json, "pre_tokenizer"), "pretokenizers"), "WhitespaceSplit");
    for (const Json* step : steps_of(member(json, "normalizer"), "normalizers")) {
        const std::string type = text_of(*step, "type");
        if (type == "Precompiled") {
            const auto map = decode_base64(text_of(*step, "precompiled_charsmap"));
            if (!map) fail(path, "the normalizer's precompiled_charsmap is no base64");
            out.charsmap = *map;
        } else if (type == "Replace" && text_of(member(*step, "pattern"), "Regex").ends_with("{2,}")) {
            out.remove_extra_whitespaces = true;
        } else if (type != "Strip") {  // what removing extra spaces does too
            warn(concat("the tokenizer's normalizer ", quoted(type),
                        " is not known for Unigram; texts may become other tokens than in the original"));
        }
    }
}

void read_unigram(const Json& json, std::string_view path, const VocabularyWarning& warn, ConvertedVocabulary& out) {
    const Json& model = member(json, "model");
    const Json& vocab = member(model, "vocab");
    if (!vocab.is_array()) fail(path, "model.vocab is no list");
    out.model = "t5";
    out.add_space_prefix = adds_space_prefix(json);
    for (const Json& each : vocab) {
        if (!each.is_array() || each.size() != 2 || !each[0].is_string() || !each[1].is_number())
            fail(path, "model.vocab holds what is no piece with a score");
        out.scores.push_back(each[1].get<float>());
        out.set(static_cast<int64_t>(out.n_tokens()), each[0].get<std::string>(), TokenKind::normal);
    }
    read_unigram_normalizer(json, path, warn, out);
    if (is_true(model, "byte_fallback"))
        for (size_t id = 0; id < out.n_tokens(); ++id)
            if (is_byte_piece(out.pieces[id])) out.kinds[id] = static_cast<int32_t>(TokenKind::byte);
    const Json& unknown = member(model, "unk_id");
    if (unknown.is_number_unsigned() && unknown.get<uint64_t>() < out.n_tokens()) {
        const auto id = unknown.get<size_t>();
        out.kinds[id] = static_cast<int32_t>(TokenKind::unknown);
        out.special_ids["unknown"] = static_cast<int32_t>(id);
    }
}

/// A template that puts a token first or last says so for the model.
void read_post_processor(const Json& json, ConvertedVocabulary& out) {
    out.add_bos = out.add_eos = false;
    for (const Json* step : steps_of(member(json, "post_processor"), "processors")) {
        const std::string type = text_of(*step, "type");
        if (type == "BertProcessing" || type == "RobertaProcessing") out.add_bos = out.add_eos = true;
        const Json& single = member(*step, "single");
        if (type != "TemplateProcessing" || !single.is_array() || single.empty()) continue;
        const auto special = [&](const Json& each) { return out.find(text_of(member(each, "SpecialToken"), "id")); };
        const auto first = special(single.front()), last = single.size() > 1 ? special(single.back()) : std::nullopt;
        out.add_bos = first.has_value();
        out.add_eos = last.has_value();
        if (first) out.special_ids[out.model == "bert" ? "cls" : "bos"] = *first;
        if (last) out.special_ids[out.model == "bert" ? "seperator" : "eos"] = *last;
    }
}

}  // namespace

void read_piece_ids(const Json& map, std::string_view path, ConvertedVocabulary& out) {
    if (!map.is_object()) fail(path, "the vocabulary is no object of pieces and ids");
    for (const auto& [piece, id] : map.items()) {
        if (!id.is_number_integer()) fail(path, concat("token ", quoted(piece), " has an id that is no number"));
        out.set(id.get<int64_t>(), piece, TokenKind::normal);
    }
}

std::vector<std::string> read_merges(const Json& list, std::string_view path) {
    std::vector<std::string> merges;
    if (list.is_null()) return merges;
    if (!list.is_array()) fail(path, "the merges are no list");
    merges.reserve(list.size());
    for (const Json& each : list) {
        const bool is_pair = each.is_array() && each.size() == 2 && each[0].is_string() && each[1].is_string();
        if (!is_pair && !each.is_string()) fail(path, concat("merge ", merges.size(), " is no pair"));
        if (!is_pair) {
            merges.push_back(each.get<std::string>());
            continue;
        }
        const std::string left = each[0].get<std::string>(), right = each[1].get<std::string>();
        // "left right" has one place to cut: a piece with a space inside cannot be written so, and no GGUF program could use it.
        if (left.find(' ') == std::string::npos && right.find(' ') == std::string::npos) merges.push_back(concat(left, " ", right));
    }
    return merges;
}

void read_added_tokens(const Json& list, std::string_view path, ConvertedVocabulary& out) {
    if (list.is_null()) return;
    if (!list.is_array()) fail(path, "added_tokens is no list");
    for (const Json& each : list) {
        const Json& id = member(each, "id");
        if (!id.is_number_integer() || !member(each, "content").is_string())
            fail(path, "added_tokens holds an entry without id and content");
        const auto number = id.get<int64_t>();
        const bool was_unknown = number >= 0 && static_cast<size_t>(number) < out.n_tokens() &&
                                 out.kinds[static_cast<size_t>(number)] == static_cast<int32_t>(TokenKind::unknown);
        const TokenKind kind = was_unknown ? TokenKind::unknown : is_true(each, "special") ? TokenKind::control : TokenKind::user_defined;
        out.set(number, text_of(each, "content"), kind);
        if (is_true(each, "lstrip")) out.strips_before.insert(static_cast<int32_t>(number));
        if (is_true(each, "rstrip")) out.strips_behind.insert(static_cast<int32_t>(number));
    }
}

ConvertedVocabulary read_tokenizer_json(const Json& json, std::string_view path, const VocabularyWarning& warn) {
    const Json& model = member(json, "model");
    if (!model.is_object()) fail(path, "has no model");
    ConvertedVocabulary out;
    const std::string type = model_type(model);
    if (type != "Unigram") read_piece_ids(member(model, "vocab"), path, out);
    if (type == "BPE")
        read_bpe(json, path, warn, out);
    else if (type == "WordPiece")
        read_wordpiece(json, path, warn, out);
    else if (type == "Unigram")
        read_unigram(json, path, warn, out);
    else
        fail(path, concat("the model is of the type ", quoted(type), "; quern knows BPE, WordPiece and Unigram"));
    read_added_tokens(member(json, "added_tokens"), path, out);
    read_post_processor(json, out);
    return out;
}

}  // namespace quern
