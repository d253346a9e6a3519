// Text to token ids and back, exactly as the model's own tokenizer does it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/token.h"
#include "text/tokenizer/piece_table.h"
#include "text/tokenizer/special_tokens.h"
#include "text/tokenizer/vocabulary.h"

namespace quern {

/// Immutable after construction: any number of threads may use it at once.
class Tokenizer {
  public:
    /// @throws ModelError  when the vocabulary is unusable: names the key or token at fault
    static std::unique_ptr<const Tokenizer> create(Vocabulary vocabulary);
    virtual ~Tokenizer() = default;
    Tokenizer(const Tokenizer&) = delete;
    Tokenizer& operator=(const Tokenizer&) = delete;

    /// Never fails: bytes that are not UTF-8 become byte tokens or the unknown token, as the original does.
    /// Cost: linear in the text, up to a logarithm.
    std::vector<TokenId> tokenize(std::string_view text, TokenizeOptions options = {}) const;

    /// Two texts in one, as cross-encoders are trained with them, special tokens included.
    struct Pair {
        std::vector<TokenId> tokens;
        size_t second_begin = 0;  ///< where the part of the second text begins
    };
    Pair tokenize_pair(std::string_view first, std::string_view second) const;

    /// The bytes a token stands for: may be part of a UTF-8 sequence. Control, unused and out-of-range ids give "" unless `render_special`.
    virtual std::string token_bytes(TokenId token, bool render_special = false) const = 0;

    /// The text of the tokens, without control tokens; invalid UTF-8 is kept as it is. Undoes tokenize() where the type allows it:
    /// SentencePiece's added leading space is taken off again.
    virtual std::string detokenize(std::span<const TokenId> tokens, bool render_special = false) const;

    const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
    int32_t n_vocab() const noexcept { return static_cast<int32_t>(vocabulary_.pieces.size()); }

    /// A text of so many bytes has at least this many tokens: enough to refuse what is far too long without reading it. 0 where texts may
    /// shrink without bound.
    int64_t least_tokens(size_t n_bytes) const noexcept;

    /// True for every id that some source in the file names as an end: eos, eot, eom, listed ids, and the well-known names
    /// (`<|im_end|>`, `<|eot_id|>`, `<end_of_turn>` ...) where they are control tokens.
    bool is_end_of_generation(TokenId token) const noexcept;
    /// Ids that must never be sampled: unused and padding entries that are not an end. Sorted.
    const std::vector<TokenId>& never_sampled() const noexcept { return never_sampled_; }
    bool adds_bos() const noexcept { return adds_bos_; }
    bool adds_eos() const noexcept { return adds_eos_; }
    /// SentencePiece puts a space before a text, which detokenizing takes off again.
    virtual bool adds_space_prefix() const noexcept { return false; }
    /// The id whose piece is exactly this, or nothing.
    std::optional<TokenId> find_piece(std::string_view piece) const;

  protected:
    explicit Tokenizer(Vocabulary vocabulary);

    /// Where a text's part between special tokens stands.
    enum class Place : uint8_t { text_begin, behind_token, behind_text };
    virtual void append_tokens(std::string_view text, Place place, std::vector<TokenId>& tokens) const = 0;
    /// What add_special puts first and last; set wherever adds_bos_ and adds_eos_ are.
    virtual std::optional<TokenId> first_token() const { return vocabulary_.bos; }
    virtual std::optional<TokenId> last_token() const { return vocabulary_.eos; }
    /// What stands before the second text of a pair, behind the end of the first.
    virtual std::optional<TokenId> pair_token() const { return vocabulary_.sep ? vocabulary_.sep : last_token(); }

    TokenKind kind(int32_t id) const { return vocabulary_.kinds[static_cast<size_t>(id)]; }
    /// What plain text may become: never a control, unknown or byte token, however the text is spelt.
    bool is_text(int32_t id) const {
        const TokenKind k = kind(id);
        return k == TokenKind::normal || k == TokenKind::user_defined || k == TokenKind::unused;
    }
    /// The id of a piece that plain text may become, or -1.
    int32_t find_text(std::string_view piece) const noexcept {
        const int32_t id = index_.find(piece);
        return id >= 0 && is_text(id) ? id : -1;
    }
    /// The given id, or where the file names none, that of a piece of this spelling and kind.
    std::optional<TokenId> named(std::optional<TokenId> id, std::string_view piece, TokenKind piece_kind) const;
    /// Control and padding tokens, and ids that do not exist, have no text.
    bool is_hidden(TokenId token) const noexcept;

    Vocabulary vocabulary_;
    bool adds_bos_ = false, adds_eos_ = false;

  private:
    void mark_ends();

    SpecialTokens specials_;
    PieceTable index_;
    std::vector<bool> end_of_generation_;  // by id
    size_t longest_piece_ = 1;             // in bytes
    std::vector<TokenId> never_sampled_;
};

/// Turns a stream of tokens into text that is valid UTF-8 at every cut: bytes of an unfinished character wait for the rest.
class StreamingDetokenizer {
  public:
    /// `tokenizer` must outlive this. `at_start`: the stream begins a text, so SentencePiece's leading space is dropped.
    explicit StreamingDetokenizer(const Tokenizer& tokenizer, bool at_start = false) : tokenizer_(tokenizer), at_start_(at_start) {}

    /// The text that is certain after this token, possibly "". Bytes that can never become valid turn into U+FFFD.
    std::string push(TokenId token);
    /// What is left at the end: an unfinished sequence becomes one U+FFFD.
    std::string finish();

  private:
    const Tokenizer& tokenizer_;
    std::string pending_;
    bool at_start_;
};

}  // namespace quern
