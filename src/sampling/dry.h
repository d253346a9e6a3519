// "Don't repeat yourself": a token that would prolong a repetition of what was said is made less likely, the more the longer that already
// is. Source: Weidmann 2024 (DRY).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sampling/params.h"

namespace quern {

class Dry {
  public:
    explicit Dry(const SamplingParams& params);

    bool active() const noexcept { return multiplier_ > 0.0f && last_n_ != 0; }
    /// Remembers a token and whether a sequence breaker ends in it. @param text  its bytes
    void accept(TokenId token, std::string_view text);
    /// logit -= multiplier * base^(length - allowed), where `length` tokens before it were said before and followed by it.
    /// Cost: linear in the tokens looked at.
    void apply(std::span<float> logits);

  private:
    bool ends_breaker(std::string_view text);
    void find_repetitions(std::span<const int32_t> text, size_t most);

    float multiplier_, base_;
    size_t allowed_;
    int last_n_;
    std::vector<std::string> breakers_;
    size_t longest_breaker_ = 0;
    std::string tail_;  // the last bytes of the text, in which a breaker may have begun
    std::vector<int32_t> tokens_;
    std::vector<char> is_breaker_;                  // by token of tokens_
    std::vector<int32_t> matches_;                  // scratch, see find_repetitions()
    std::unordered_map<int32_t, int32_t> lengths_;  // scratch: of the repetition that each token would prolong
};

}  // namespace quern
