// From the vectors of a text's tokens to one of the whole text.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/pooling.h"

namespace quern {

/// Takes the vectors as they are computed and keeps no more of them than it must.
class TextVector {
  public:
    /// REQUIRES: n_embd >= 1, a way of pooling that makes a vector
    TextVector(int64_t n_embd, Pooling pooling);

    /// @param rows  [n, n_embd], of the next n tokens
    void add(std::span<const float> rows);
    /// [n_embd], or with Pooling::none the rows themselves. REQUIRES: at least one token
    std::vector<float> result() const;

  private:
    size_t n_embd_;
    Pooling pooling_;
    std::vector<float> kept_;  // all, the first or the last
    std::vector<double> sums_;
    int64_t n_tokens_ = 0;
};

}  // namespace quern
