#include "engine/load_vocabulary.h"

#include "base/error.h"

namespace quern {
namespace {

struct ModelName {
    std::string_view name;  // tokenizer.ggml.model
    TokenizerModel model;
};
constexpr ModelName model_names[] = {
    {"llama", TokenizerModel::spm}, {"gpt2", TokenizerModel::bpe}, {"bert", TokenizerModel::wordpiece}, {"t5", TokenizerModel::unigram}};

TokenizerModel tokenizer_model(const GgufFile& file, std::string_view name) {
    std::string known;
    for (const ModelName& each : model_names) {
        if (each.name == name) return each.model;
        known += concat(known.empty() ? "" : ", ", each.name);
    }
    throw ModelError(concat(file.path(), ": tokenizer.ggml.model '", name, "' is not known; quern knows ", known));
}

/// Reads an id and checks that the vocabulary has it.
class IdReader {
  public:
    IdReader(const GgufFile& file, size_t n_vocab) : file_(file), n_vocab_(static_cast<int64_t>(n_vocab)) {}

    std::optional<TokenId> operator()(const char* key) const {
        const auto id = file_.metadata().integer(key);
        // Writers store "none" as -1 or as all ones.
        if (!id || *id == -1 || *id == 0xFFFFFFFF) return std::nullopt;
        return check(key, *id);
    }

    TokenId check(std::string_view key, int64_t id) const {
        if (id < 0 || id >= n_vocab_)
            throw ModelError(concat(file_.path(), ": ", key, " is ", id, ", but the vocabulary has ", n_vocab_, " tokens"));
        return {static_cast<int32_t>(id)};
    }

  private:
    const GgufFile& file_;
    int64_t n_vocab_;
};

std::vector<TokenKind> token_kinds(const GgufFile& file, size_t n_vocab) {
    std::vector<TokenKind> kinds;
    for (const int64_t kind : file.metadata().integers("tokenizer.ggml.token_type")) {
        if (kind < 0 || kind > 6) throw ModelError(concat(file.path(), ": tokenizer.ggml.token_type holds ", kind));
        kinds.push_back(kind == 0 ? TokenKind::normal : static_cast<TokenKind>(kind));
    }
    if (!kinds.empty() && kinds.size() != n_vocab)
        throw ModelError(concat(file.path(), ": tokenizer.ggml.token_type has ", kinds.size(), " entries for ", n_vocab, " tokens"));
    return kinds;
}

constexpr const char* strips_before_key = "tokenizer.quern.strips_before";
constexpr const char* strips_behind_key = "tokenizer.quern.strips_behind";

void read_space_rules(const Metadata& metadata, Vocabulary& vocabulary) {
    const std::string_view prefix = metadata.string("tokenizer.quern.space_prefix").value_or("");
    if (prefix == "always") vocabulary.space_prefix = SpacePrefix::fragment_words;
    if (prefix == "first") vocabulary.space_prefix = SpacePrefix::text_words;
    vocabulary.splits_at_spaces = metadata.boolean("tokenizer.quern.split_at_spaces").value_or(false);
}

bool is_phi3(const Metadata& metadata, const Vocabulary& vocabulary) {
    return metadata.string("general.architecture").value_or("") == "phi3" && vocabulary.model == TokenizerModel::spm;
}

/// What Phi 3's tokenizer.json says, for files whose writers had no key for it.
void strip_behind_phi3_tokens(Vocabulary& vocabulary) {
    for (size_t id = 0; id < vocabulary.kinds.size(); ++id) {
        const std::string_view piece = vocabulary.pieces[id];
        if (vocabulary.kinds[id] == TokenKind::control && piece != "<s>" && piece != "<unk>" && piece != "<|endoftext|>")
            vocabulary.strips_behind.push_back({static_cast<int32_t>(id)});
    }
}

}  // namespace

Vocabulary load_vocabulary(const GgufFile& file) {
    const Metadata& metadata = file.metadata();
    const std::string_view model = metadata.string("tokenizer.ggml.model").value_or("no_vocab");
    Vocabulary vocabulary;
    if (model == "no_vocab" || model == "none") return vocabulary;
    vocabulary.model = tokenizer_model(file, model);
    vocabulary.pre = std::string(metadata.string("tokenizer.ggml.pre").value_or(""));
    const auto patterns = metadata.strings("tokenizer.quern.pre_patterns");
    vocabulary.pre_patterns.assign(patterns.begin(), patterns.end());
    vocabulary.takes_whole_words = metadata.boolean("tokenizer.quern.ignore_merges").value_or(false);
    vocabulary.normalizes_to_nfc = metadata.string("tokenizer.quern.normal_form").value_or("") == "nfc";
    const auto pieces = metadata.strings("tokenizer.ggml.tokens");
    if (pieces.empty()) throw ModelError(concat(file.path(), ": tokenizer.ggml.tokens is missing or empty"));
    vocabulary.pieces.assign(pieces.begin(), pieces.end());
    vocabulary.scores = metadata.reals("tokenizer.ggml.scores");
    if (!vocabulary.scores.empty() && vocabulary.scores.size() != pieces.size())
        throw ModelError(
            concat(file.path(), ": tokenizer.ggml.scores has ", vocabulary.scores.size(), " entries for ", pieces.size(), " tokens"));
    vocabulary.kinds = token_kinds(file, pieces.size());
    const auto merges = metadata.strings("tokenizer.ggml.merges");
    vocabulary.merges.assign(merges.begin(), merges.end());
    const IdReader id(file, pieces.size());
    vocabulary.bos = id("tokenizer.ggml.bos_token_id");
    vocabulary.eos = id("tokenizer.ggml.eos_token_id");
    vocabulary.eot = id("tokenizer.ggml.eot_token_id");
    vocabulary.eom = id("tokenizer.ggml.eom_token_id");
    vocabulary.unk = id("tokenizer.ggml.unknown_token_id");
    vocabulary.sep = id("tokenizer.ggml.seperator_token_id");  // so spelt in the specification
    vocabulary.pad = id("tokenizer.ggml.padding_token_id");
    vocabulary.cls = id("tokenizer.ggml.cls_token_id");
    vocabulary.mask = id("tokenizer.ggml.mask_token_id");
    const auto either = [&](const char* key, const char* old_key) {
        const auto found = id(key);
        return found ? found : id(old_key);
    };
    vocabulary.fill_in = {.prefix = either("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"),
                          .suffix = either("tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"),
                          .middle = either("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"),
                          .repository = id("tokenizer.ggml.fim_rep_token_id"),
                          .file = id("tokenizer.ggml.fim_sep_token_id")};
    for (const char* key : {"tokenizer.ggml.eos_token_ids", "tokenizer.ggml.eog_token_ids"})
        for (const int64_t each : metadata.integers(key)) vocabulary.extra_end_of_generation.push_back(id.check(key, each));
    vocabulary.add_bos = metadata.boolean("tokenizer.ggml.add_bos_token");
    vocabulary.add_eos = metadata.boolean("tokenizer.ggml.add_eos_token");
    vocabulary.add_space_prefix = metadata.boolean("tokenizer.ggml.add_space_prefix");
    vocabulary.remove_extra_whitespaces = metadata.boolean("tokenizer.ggml.remove_extra_whitespaces");
    vocabulary.lowercase = metadata.boolean("tokenizer.ggml.normalizer.lowercase");
    vocabulary.strip_accents = metadata.boolean("tokenizer.ggml.normalizer.strip_accents");
    vocabulary.chinese_characters_apart = metadata.boolean("tokenizer.quern.chinese_characters_apart").value_or(true);
    read_space_rules(metadata, vocabulary);
    for (const int64_t each : metadata.integers(strips_before_key)) vocabulary.strips_before.push_back(id.check(strips_before_key, each));
    for (const int64_t each : metadata.integers(strips_behind_key)) vocabulary.strips_behind.push_back(id.check(strips_behind_key, each));
    if (!metadata.has(strips_behind_key) && is_phi3(metadata, vocabulary)) strip_behind_phi3_tokens(vocabulary);
    for (const int64_t byte : metadata.integers("tokenizer.ggml.precompiled_charsmap"))
        vocabulary.normalizer_charsmap.push_back(static_cast<char>(byte));
    return vocabulary;
}

std::unique_ptr<const Tokenizer> make_tokenizer(const GgufFile& file, Vocabulary vocabulary) {
    try {
        return Tokenizer::create(std::move(vocabulary));
    } catch (const ModelError& error) {
        throw ModelError(concat(file.path(), ": ", error.what()));
    }
}

}  // namespace quern
