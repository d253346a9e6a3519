#include "gguf/metadata_override.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

template <typename Number>
bool read(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

MetadataOverride parse_metadata_override(std::string_view text) {
    const size_t equals = text.find('='), colon = equals == std::string_view::npos ? equals : text.find(':', equals);
    if (colon == std::string_view::npos || equals == 0)
        throw InvalidInput(concat("'", printable(text), "' is not KEY=TYPE:VALUE, with int, float, bool or str as TYPE"), "kv_overrides");
    const std::string_view type = text.substr(equals + 1, colon - equals - 1), value = text.substr(colon + 1);
    MetadataOverride out{.key = std::string(text.substr(0, equals)), .value = {}};
    bool is_right = true;
    if (type == "int") {
        int64_t number = 0;
        is_right = read(value, number);
        out.value = number;
    } else if (type == "float") {
        double number = 0;
        is_right = read(value, number) && std::isfinite(number);
        out.value = number;
    } else if (type == "bool") {
        is_right = value == "true" || value == "false";
        out.value = value == "true";
    } else if (type == "str") {
        out.value = std::string(value);
    } else {
        throw InvalidInput(concat("'", printable(text), "': '", printable(type), "' is no type; there are int, float, bool and str"),
                           "kv_overrides");
    }
    if (!is_right) throw InvalidInput(concat("'", printable(text), "': '", printable(value), "' is no ", type), "kv_overrides");
    return out;
}

}  // namespace quern
