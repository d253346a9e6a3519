// The id of a token, kept apart from other integers.
#pragma once

#include <compare>
#include <cstdint>

namespace quern {

struct TokenId {
    int32_t value = -1;
    auto operator<=>(const TokenId&) const = default;
};

}  // namespace quern
