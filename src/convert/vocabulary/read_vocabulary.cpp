#include "convert/vocabulary/read_vocabulary.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/printable.h"
#include "convert/checkpoint/json_file.h"
#include "convert/vocabulary/sentencepiece_model.h"
#include "convert/vocabulary/special_tokens.h"
#include "convert/vocabulary/vocabulary_files.h"

namespace quern {
namespace {

using Found = std::optional<ConvertedVocabulary>;

Found read_spm(const std::string& folder) {
    const std::string path = folder + "/tokenizer.model";
    const auto file = read_file_if_there(path);
    if (!file) return std::nullopt;
    return read_sentencepiece_model(std::as_bytes(std::span(*file)), path);
}

/// XLM-RoBERTa's: its own four special tokens stand before SentencePiece's pieces without their three, and <mask> behind them.
Found read_fairseq(const std::string& folder) {
    const std::string path = folder + "/sentencepiece.bpe.model";
    const auto file = read_file_if_there(path);
    if (!file) return std::nullopt;
    const ConvertedVocabulary model = read_sentencepiece_model(std::as_bytes(std::span(*file)), path);
    ConvertedVocabulary out = model;
    out.pieces.clear();
    out.kinds.clear();
    out.scores.clear();
    const auto add = [&](std::string_view piece, TokenKind kind, float score) {
        out.scores.push_back(score);
        out.set(static_cast<int64_t>(out.n_tokens()), piece, kind);
    };
    for (const char* piece : {"<s>", "<pad>", "</s>"}) add(piece, TokenKind::control, 0);
    add("<unk>", TokenKind::unknown, 0);
    for (size_t id = 3; id < model.n_tokens(); ++id) add(model.pieces[id], static_cast<TokenKind>(model.kinds[id]), model.scores[id]);
    add("<mask>", TokenKind::control, 0);
    out.special_ids = {{"bos", 0}, {"cls", 0}, {"padding", 1}, {"eos", 2}, {"seperator", 2}, {"unknown", 3}};
    out.add_bos = out.add_eos = true;
    return out;
}

Found read_hfft(const std::string& folder, const VocabularyWarning& warn) {
    const std::string path = folder + "/tokenizer.json";
    const auto json = read_json_file_if_there(path);
    if (!json) return std::nullopt;
    return read_tokenizer_json(*json, path, warn);
}

Found read_bpe(const std::string& folder, const VocabularyWarning& warn) {
    const std::string path = folder + "/vocab.json";
    const auto vocab = read_file_if_there(path), merges = read_file_if_there(folder + "/merges.txt");
    if (vocab && merges) return read_gpt2_files(*vocab, *merges, path);
    Found found = read_hfft(folder, warn);
    return found && found->model == "gpt2" ? found : std::nullopt;
}

Found read_ranks(const std::string& folder) {
    std::error_code error;
    for (const auto& each : std::filesystem::directory_iterator(folder, error))
        if (each.path().extension() == ".tiktoken")
            return read_tiktoken(read_file_if_there(each.path().string()).value_or(""), each.path().string());
    return std::nullopt;
}

Found read_words(const std::string& folder) {
    const std::string path = folder + "/vocab.txt";
    const auto text = read_file_if_there(path);
    if (!text) return std::nullopt;
    return read_vocab_txt(*text, path);
}

Found read_kind(const std::string& kind, const std::string& folder, const VocabularyWarning& warn) {
    if (kind == "spm") return read_spm(folder);
    if (kind == "hfft") return read_hfft(folder, warn);
    if (kind == "bpe") return read_bpe(folder, warn);
    if (kind == "tiktoken") return read_ranks(folder);
    if (kind == "wordpiece") return read_words(folder);
    if (kind == "fairseq") return read_fairseq(folder);
    throw InvalidInput(concat("--vocab-type: '", kind, "' is none of spm, hfft, bpe, tiktoken, wordpiece, fairseq"));
}

}  // namespace

ConvertedVocabulary read_vocabulary(const std::string& folder, const CheckpointConfig& config, const std::string& kinds,
                                    const VocabularyWarning& warn) {
    std::string left = kinds.empty() ? "spm,hfft,bpe,tiktoken,wordpiece,fairseq" : kinds;
    Found found;
    while (!left.empty() && !found) {
        const size_t comma = left.find(',');
        found = read_kind(left.substr(0, comma), folder, warn);
        left.erase(0, comma == std::string::npos ? left.size() : comma + 1);
    }
    if (!found)
        throw ModelError(concat(
            printable(folder), ": holds no tokenizer", kinds.empty() ? "" : concat(" of the kind ", kinds),
            ": looked for tokenizer.model, tokenizer.json, vocab.json with merges.txt, *.tiktoken, vocab.txt, sentencepiece.bpe.model"));
    // Beside a tokenizer.model, tokenizer.json may know tokens that were added later.
    if (found->model == "llama" && found->merges.empty())
        if (const auto json = read_json_file_if_there(folder + "/tokenizer.json");
            json && json->is_object() && json->contains("added_tokens"))
            read_added_tokens((*json)["added_tokens"], folder + "/tokenizer.json", *found);
    read_special_tokens(folder, config, *found);
    if (found->model == "bert") mark_word_starts(*found);
    return *std::move(found);
}

}  // namespace quern
