// Cuts a text into the words that byte-level BPE never merges across. Each model family has its own patterns, run by PCRE2.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/pre_tokenizer_families.h"

namespace quern {

/// Immutable after construction: any thread.
class PreTokenizer {
  public:
    using WordSink = std::function<void(std::string_view word)>;

    /// @param name  `tokenizer.ggml.pre`; an unknown one gets the most common pattern and a warning
    explicit PreTokenizer(std::string_view name);
    explicit PreTokenizer(const PreTokenizerFamily& family);
    /// The patterns of a model file. @throws ModelError when one is no regular expression
    PreTokenizer(std::span<const std::string_view> patterns, bool takes_whole_words);
    ~PreTokenizer();

    /// Hands over the words in order; joined they are the text. A byte that is no UTF-8 is a word of its own. Never fails.
    void split(std::string_view text, const WordSink& sink) const;

    /// A word that is a piece as a whole is taken before any merging (Llama 3's `ignore_merges`).
    bool takes_whole_words() const noexcept { return takes_whole_words_; }
    /// The family's models begin with BOS although some of their files do not say so.
    bool adds_bos() const noexcept { return adds_bos_; }

  private:
    class Pattern;
    class Scratch;

    void split_from(size_t level, std::string_view text, Scratch& scratch, const WordSink& sink) const;

    bool takes_whole_words_ = false, adds_bos_ = false;
    std::vector<std::unique_ptr<const Pattern>> patterns_;
};

}  // namespace quern
