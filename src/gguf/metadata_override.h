// A value that takes the place of one in the file: "KEY=TYPE:VALUE", as llama.cpp's --override-kv has it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace quern {

struct MetadataOverride {
    std::string key;
    std::variant<int64_t, double, bool, std::string> value;
    bool operator==(const MetadataOverride&) const = default;
};

/// Types: int, float, bool, str. @throws InvalidInput  one line that begins with the text
MetadataOverride parse_metadata_override(std::string_view text);

}  // namespace quern
