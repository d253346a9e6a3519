// What a pickle can hold here. Values live in one arena and name each other by number, so that however deep a file nests them, nothing
// recurses and all are freed at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

using PickleRef = uint32_t;

struct PickleValue {
    enum class Kind : uint8_t { none, boolean, integer, real, text, tuple, list, dict, global, storage, tensor };
    Kind kind = Kind::none;
    int64_t integer = 0;
    std::string_view text;         ///< text; of a global "module name"; of a storage its type
    std::vector<PickleRef> items;  ///< tuple, list; of a dict key, value, key, value ...; of a tensor storage, offset, sizes, strides
};

std::string_view to_string(PickleValue::Kind kind);

}  // namespace quern
