// The prompts that a server is measured with: given texts, or made ones of about a wished length, the same for the same seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace quern {

class PromptSource {
  public:
    /// These texts, one after the other, again and again.
    static PromptSource of_texts(std::vector<std::string> texts);
    /// Common English words, most of which are one token in most vocabularies.
    static PromptSource of_words(uint64_t seed);
    /// Token ids below `limit`: for vocabularies that have no words.
    static PromptSource of_ids(uint64_t seed, int32_t limit);

    /// Units of a made prompt: words or ids, `n_shared` of which all prompts begin with. REQUIRES: 0 <= n_shared <= n
    void set_length(int64_t n, int64_t n_shared);
    bool is_made() const { return texts_.empty(); }
    bool is_ids() const { return id_limit_ > 0; }

    /// A string, or an array of token ids. Prompts of different indices differ from each other behind what they share.
    nlohmann::json prompt(uint64_t index) const;

  private:
    uint64_t seed_ = 0;
    int32_t id_limit_ = 0;
    int64_t n_units_ = 1, n_shared_ = 0;
    std::vector<std::string> texts_;
};

}  // namespace quern
