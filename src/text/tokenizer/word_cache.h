// Within one text most words come again: what a word gave the first time is copied.
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/token.h"

namespace quern {

/// Lives for one call. The words must outlive it, and only it may append to `tokens` meanwhile.
class WordCache {
  public:
    explicit WordCache(std::vector<TokenId>& tokens) : tokens_(tokens) {}

    /// Appends the tokens of the word; `tokenize(word)` appends them where the word is new.
    template <typename Tokenize>
    void append(std::string_view word, Tokenize tokenize) {
        if (word.size() > longest) return tokenize(word);
        const auto [found, is_new] = seen_.try_emplace(word, Place{tokens_.size(), 0});
        if (is_new) {
            tokenize(word);
            found->second.end = tokens_.size();
        } else {
            for (size_t at = found->second.begin; at < found->second.end; ++at) tokens_.push_back(TokenId(tokens_[at]));
        }
    }

  private:
    static constexpr size_t longest = 64;  // longer ones hardly come again

    struct Place {
        size_t begin, end;
    };

    std::vector<TokenId>& tokens_;
    std::unordered_map<std::string_view, Place> seen_;
};

}  // namespace quern
