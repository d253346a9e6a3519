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
    ~PreTokenizer();

    /// Hands over the words in order; joined they are the text. A byte that is no UTF-8 is a word of its own. Never fails.
    void split(std::string_view text, const WordSink& sink) const;

    /// A word that is a piece as a whole is taken before any merging (Llama 3's `ignore_merges`).
    bool takes_whole_words() const noexcept { return family_.takes_whole_words; }
    /// The family's models begin with BOS although some of their files do not say so.
    bool adds_bos() const noexcept { return family_.adds_bos; }

  private:
    class Pattern;
    class Scratch;

    void split_from(size_t level, std::string_view text, Scratch& scratch, const WordSink& sink) const;

    const PreTokenizerFamily& family_;
    std::vector<std::unique_ptr<const Pattern>> patterns_;
};

}  // namespace quern
