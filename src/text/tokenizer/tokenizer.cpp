#include "text/tokenizer/tokenizer.h"

#include <limits>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/byte_level_bpe.h"
#include "text/tokenizer/sentencepiece.h"
#include "text/tokenizer/unigram.h"
#include "text/tokenizer/wordpiece.h"

namespace quern {
namespace {

// Names under which models know the end of an answer. A file that forgets to list one of them still has it among its control tokens.
constexpr std::string_view end_names[] = {
    "</s>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end|>",
    "<end_of_turn>",
    "<eos>",
    "<|eot|>",
    "<EOT>",
    "<_EOT>",
    "[EOT]",
    "▁<EOT>",
    "<|file_separator|>",  // what follows when a gap in a file is filled: another file
    "<|file_sep|>",
    "<|repo_name|>",
    "<|fim_pad|>",
    "<file_sep>",
    "<repo_name>",
    "[EOS]",
    "<|end_of_sentence|>",
    "<｜end▁of▁sentence｜>",
    "<|return|>",
    "<|call|>",
    "<|end_of_turn|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|eos|>",
};

bool is_padding_name(std::string_view piece) { return piece.starts_with("[PAD") && piece.ends_with("]"); }

// All ids that the vocabulary names are within it.
Vocabulary checked(Vocabulary v) {
    const auto n_vocab = static_cast<int64_t>(v.pieces.size());
    const auto check = [&](std::string_view name, const std::optional<TokenId>& id) {
        if (id && (id->value < 0 || id->value >= n_vocab))
            throw ModelError(concat("the ", name, " token is ", id->value, ", but the vocabulary has ", n_vocab, " tokens"));
    };
    check("BOS", v.bos);
    check("EOS", v.eos);
    check("EOT", v.eot);
    check("EOM", v.eom);
    check("unknown", v.unk);
    check("separator", v.sep);
    check("padding", v.pad);
    check("CLS", v.cls);
    check("mask", v.mask);
    for (const auto& id : {v.fill_in.prefix, v.fill_in.suffix, v.fill_in.middle, v.fill_in.repository, v.fill_in.file})
        check("fill-in", id);
    for (const TokenId id : v.extra_end_of_generation) check("end-of-generation", id);
    for (const auto* ids : {&v.strips_before, &v.strips_behind})
        for (const TokenId id : *ids) check("stripping", id);
    return v;
}

}  // namespace

std::unique_ptr<const Tokenizer> Tokenizer::create(Vocabulary vocabulary) {
    if (vocabulary.empty()) throw ModelError("the vocabulary has no tokens");
    if (vocabulary.pieces.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
        throw ModelError("the vocabulary has more tokens than ids");
    if (vocabulary.kinds.empty()) vocabulary.kinds.assign(vocabulary.pieces.size(), TokenKind::normal);
    if (vocabulary.kinds.size() != vocabulary.pieces.size())
        throw ModelError("the vocabulary has another number of token types than of tokens");
    switch (vocabulary.model) {
        case TokenizerModel::spm:
            return std::make_unique<SentencePiece>(std::move(vocabulary));
        case TokenizerModel::bpe:
            return std::make_unique<ByteLevelBpe>(std::move(vocabulary));
        case TokenizerModel::wordpiece:
            return std::make_unique<WordPiece>(std::move(vocabulary));
        case TokenizerModel::unigram:
            return std::make_unique<Unigram>(std::move(vocabulary));
    }
    throw InternalError("a tokenizer model without a tokenizer");
}

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(checked(std::move(vocabulary))), specials_(vocabulary_), index_(vocabulary_.pieces) {
    mark_ends();
    for (size_t id = 0; id < vocabulary_.pieces.size(); ++id) {
        longest_piece_ = std::max(longest_piece_, vocabulary_.pieces[id].size());
        const bool padding = vocabulary_.kinds[id] == TokenKind::unused || is_padding_name(vocabulary_.pieces[id]);
        if (padding && !end_of_generation_[id]) never_sampled_.push_back({static_cast<int32_t>(id)});
    }
}

int64_t Tokenizer::least_tokens(size_t n_bytes) const noexcept {
    constexpr size_t most_shrinking = 4;  // of Unicode's composition, and then some
    if (vocabulary_.model == TokenizerModel::wordpiece || vocabulary_.model == TokenizerModel::unigram) return 0;  // drop spaces
    return static_cast<int64_t>(n_bytes / most_shrinking / longest_piece_);
}

void Tokenizer::mark_ends() {
    end_of_generation_.resize(vocabulary_.pieces.size());
    for (const auto& id : {vocabulary_.eos, vocabulary_.eot, vocabulary_.eom})
        if (id) end_of_generation_[static_cast<size_t>(id->value)] = true;
    for (const TokenId id : vocabulary_.extra_end_of_generation)
        if (id.value >= 0 && static_cast<size_t>(id.value) < end_of_generation_.size())
            end_of_generation_[static_cast<size_t>(id.value)] = true;
    for (const std::string_view name : end_names) {
        const auto id = find_piece(name);
        if (id && kind(id->value) == TokenKind::control) end_of_generation_[static_cast<size_t>(id->value)] = true;
    }
}

bool Tokenizer::is_end_of_generation(TokenId token) const noexcept {
    return token.value >= 0 && static_cast<size_t>(token.value) < end_of_generation_.size() &&
           end_of_generation_[static_cast<size_t>(token.value)];
}

std::optional<TokenId> Tokenizer::find_piece(std::string_view piece) const {
    const int32_t id = index_.find(piece);
    return id < 0 ? std::nullopt : std::optional(TokenId{id});
}

std::optional<TokenId> Tokenizer::named(std::optional<TokenId> id, std::string_view piece, TokenKind piece_kind) const {
    if (id) return id;
    const auto found = find_piece(piece);
    return found && kind(found->value) == piece_kind ? found : std::nullopt;
}

bool Tokenizer::is_hidden(TokenId token) const noexcept {
    if (token.value < 0 || token.value >= n_vocab()) return true;
    const TokenKind k = kind(token.value);
    return k == TokenKind::control || k == TokenKind::unknown || k == TokenKind::unused ||
           is_padding_name(vocabulary_.pieces[static_cast<size_t>(token.value)]);
}

std::vector<TokenId> Tokenizer::tokenize(std::string_view text, TokenizeOptions options) const {
    std::vector<TokenId> tokens;
    tokens.reserve(text.size() / 3 + 8);
    if (options.add_special && adds_bos_) tokens.push_back(*first_token());
    for (const Fragment& fragment : specials_.split(text, options)) {
        if (fragment.token.value >= 0) {
            tokens.push_back(fragment.token);
            continue;
        }
        const Place at_begin = options.continues ? Place::behind_text : Place::text_begin;
        append_tokens(fragment.text, fragment.text.data() == text.data() ? at_begin : Place::behind_token, tokens);
    }
    if (options.add_special && adds_eos_) tokens.push_back(*last_token());
    return tokens;
}

Tokenizer::Pair Tokenizer::tokenize_pair(std::string_view first, std::string_view second) const {
    Pair pair{.tokens = tokenize(first, {.add_special = true})};
    pair.second_begin = pair.tokens.size();
    if (const auto between = pair_token(); adds_eos_ && between) pair.tokens.push_back(*between);
    const std::vector<TokenId> rest = tokenize(second, {.add_special = false});
    pair.tokens.insert(pair.tokens.end(), rest.begin(), rest.end());
    if (adds_eos_) pair.tokens.push_back(*last_token());
    return pair;
}

std::string Tokenizer::detokenize(std::span<const TokenId> tokens, bool render_special) const {
    std::string text;
    for (const TokenId token : tokens) text += token_bytes(token, render_special);
    return text;
}

std::string StreamingDetokenizer::push(TokenId token) {
    std::string bytes = tokenizer_.token_bytes(token);
    if (at_start_ && !bytes.empty()) {
        at_start_ = false;
        if (tokenizer_.adds_space_prefix() && bytes.front() == ' ') bytes.erase(0, 1);
    }
    pending_ += bytes;
    const size_t n_ready = pending_.size() - incomplete_utf8_tail(pending_);
    std::string ready = repair_utf8(std::string_view(pending_).substr(0, n_ready));
    pending_.erase(0, n_ready);
    return ready;
}

std::string StreamingDetokenizer::finish() {
    std::string rest = repair_utf8(pending_);
    pending_.clear();
    return rest;
}

}  // namespace quern
