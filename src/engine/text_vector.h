// From the vectors of a text's tokens to one of the whole text.
#pragma once

#include <span>
#include <vector>

#include "models/pooling.h"

namespace quern {

/// @param rows  [n_tokens, n_embd], at least one token
/// @return [n_embd], or with Pooling::none the rows themselves
std::vector<float> pool_rows(std::span<const float> rows, int64_t n_embd, Pooling pooling);

}  // namespace quern
