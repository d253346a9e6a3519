#include "convert/vocabulary/converted_vocabulary.h"

#include "base/error.h"

namespace quern {
namespace {

constexpr int64_t most_tokens = 10'000'000;  // the largest real vocabularies have 300,000

void write_texts(const ConvertedVocabulary& v, GgufWriter& writer) {
    writer.set_strings("tokenizer.ggml.tokens", std::span<const std::string>(v.pieces));
    if (!v.scores.empty()) writer.set_reals("tokenizer.ggml.scores", v.scores);
    writer.set_integers("tokenizer.ggml.token_type", v.kinds);
    if (!v.merges.empty() || v.model == "gpt2") writer.set_strings("tokenizer.ggml.merges", std::span<const std::string>(v.merges));
}

void write_templates(const ConvertedVocabulary& v, GgufWriter& writer) {
    if (!v.chat_template.empty()) writer.set("tokenizer.chat_template", std::string_view(v.chat_template));
    std::vector<std::string> names;
    for (const auto& [name, text] : v.named_templates) {
        writer.set("tokenizer.chat_template." + name, std::string_view(text));
        names.push_back(name);
    }
    if (!names.empty()) writer.set_strings("tokenizer.chat_templates", std::span<const std::string>(names));
}

}  // namespace

void ConvertedVocabulary::set(int64_t id, std::string_view piece, TokenKind kind) {
    if (id < 0 || id >= most_tokens) throw ModelError(concat("token ", id, " has an id that no vocabulary has"));
    const auto at = static_cast<size_t>(id);
    if (at >= pieces.size()) {
        pieces.resize(at + 1);
        kinds.resize(at + 1, 0);
        if (!scores.empty()) scores.resize(at + 1, 0.0f);
    }
    pieces[at] = piece;
    kinds[at] = static_cast<int32_t>(kind);
}

std::optional<int32_t> ConvertedVocabulary::find(std::string_view piece) const {
    for (size_t id = 0; id < pieces.size(); ++id)
        if (kinds[id] != 0 && pieces[id] == piece) return static_cast<int32_t>(id);
    return std::nullopt;
}

void pad_vocabulary(ConvertedVocabulary& v, size_t n_vocab) {
    if (v.n_tokens() > n_vocab)
        throw ModelError(concat("the tokenizer has ", v.n_tokens(), " tokens, but the model's embeddings have ", n_vocab,
                                " rows: they do not belong together"));
    v.pieces.resize(n_vocab);
    v.kinds.resize(n_vocab, 0);
    if (!v.scores.empty()) v.scores.resize(n_vocab, -1000.0f);
    for (size_t id = 0; id < n_vocab; ++id) {
        if (v.kinds[id] != 0) continue;
        v.pieces[id] = concat("[PAD", id, "]");
        v.kinds[id] = static_cast<int32_t>(TokenKind::unused);
    }
}

void write_vocabulary(const ConvertedVocabulary& v, GgufWriter& writer) {
    writer.set("tokenizer.ggml.model", std::string_view(v.model));
    writer.set("tokenizer.ggml.pre", std::string_view(v.pre.empty() ? "default" : v.pre));
    write_texts(v, writer);
    for (const auto& [name, id] : v.special_ids) writer.set("tokenizer.ggml." + name + "_token_id", static_cast<uint32_t>(id));
    // llama.cpp puts first what is called BOS, in WordPiece too.
    if (const auto cls = v.special_ids.find("cls"); v.model == "bert" && cls != v.special_ids.end() && !v.special_ids.contains("bos"))
        writer.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(cls->second));
    if (v.end_ids.size() > 1) writer.set_integers("tokenizer.ggml.eos_token_ids", v.end_ids);
    const auto set_flag = [&](const char* key, std::optional<bool> value) {
        if (value) writer.set(key, *value);
    };
    const auto set_ids = [&](const char* key, const std::set<int32_t>& ids) {
        if (!ids.empty()) writer.set_integers(key, std::vector<int32_t>(ids.begin(), ids.end()));
    };
    set_flag("tokenizer.ggml.add_bos_token", v.add_bos);
    set_flag("tokenizer.ggml.add_eos_token", v.add_eos);
    set_flag("tokenizer.ggml.add_space_prefix", v.add_space_prefix);
    set_flag("tokenizer.ggml.remove_extra_whitespaces", v.remove_extra_whitespaces);
    set_flag("tokenizer.ggml.normalizer.lowercase", v.lowercase);
    set_flag("tokenizer.ggml.normalizer.strip_accents", v.strip_accents);
    if (!v.chinese_characters_apart.value_or(true)) writer.set("tokenizer.quern.chinese_characters_apart", false);
    if (!v.space_prefix.empty()) writer.set("tokenizer.quern.space_prefix", std::string_view(v.space_prefix));
    if (v.splits_at_spaces) writer.set("tokenizer.quern.split_at_spaces", true);
    set_ids("tokenizer.quern.strips_before", v.strips_before);
    set_ids("tokenizer.quern.strips_behind", v.strips_behind);
    if (!v.charsmap.empty())
        writer.set("tokenizer.ggml.precompiled_charsmap",
                   MetadataArray{MetadataType::u8, v.charsmap.size(), reinterpret_cast<const std::byte*>(v.charsmap.data()), {}, {}});
    if (!v.pre_patterns.empty()) {
        writer.set_strings("tokenizer.quern.pre_patterns", std::span<const std::string>(v.pre_patterns));
        writer.set("tokenizer.quern.ignore_merges", v.takes_whole_words);
    }
    if (!v.normal_form.empty()) writer.set("tokenizer.quern.normal_form", std::string_view(v.normal_form));
    write_templates(v, writer);
}

}  // namespace quern
