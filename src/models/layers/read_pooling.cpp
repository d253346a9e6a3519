#include "models/layers/read_pooling.h"

#include "models/layers/key_reader.h"

namespace quern {

std::optional<Pooling> read_pooling(const GgufFile& file) {
    switch (KeyReader(file).optional_integer("pooling_type", -1, 4).value_or(-1)) {
        case 1:
            return Pooling::mean;
        case 2:
            return Pooling::cls;
        case 3:
            return Pooling::last;
        case 4:
            return Pooling::rank;
        default:  // "none", or not said
            return std::nullopt;
    }
}

}  // namespace quern
