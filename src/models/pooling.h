// How a model that gives a vector for each token makes one of a whole text.
#pragma once

#include <cstdint>

namespace quern {

enum class Pooling : uint8_t {
    none,  ///< the tokens' vectors as they are
    mean,
    cls,   ///< that of the first token
    last,  ///< that of the last token
    rank   ///< scores of a pair of texts, by the head of a cross-encoder
};

}  // namespace quern
