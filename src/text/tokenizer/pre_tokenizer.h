// Cuts a text into the words that byte-level BPE never merges across. Each model family has its own patterns, run by PCRE2.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// Immutable after construction: any thread.
class PreTokenizer {
  public:
    using WordSink = std::function<void(std::string_view word)>;

    /// @param name  `tokenizer.ggml.pre`; an unknown one gets the most common pattern and a warning
    explicit PreTokenizer(std::string_view name);
    ~PreTokenizer();

    /// Hands over the words in order; joined they are the text. A byte that is no UTF-8 is a word of its own. Never fails.
    void split(std::string_view text, const WordSink& sink) const;

    /// A word that is a piece as a whole is taken before any merging (Llama 3's `ignore_merges`).
    bool takes_whole_words() const noexcept { return takes_whole_words_; }

  private:
    class Pattern;
    class Scratch;

    void split_from(size_t level, std::string_view text, Scratch& scratch, const WordSink& sink) const;

    std::vector<std::unique_ptr<const Pattern>> patterns_;
    bool takes_whole_words_ = false;
};

}  // namespace quern
