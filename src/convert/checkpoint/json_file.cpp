#include "convert/checkpoint/json_file.h"

#include <filesystem>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/printable.h"

namespace quern {
namespace {

constexpr size_t max_depth = 64;
constexpr size_t max_values = 20'000'000;  // a tokenizer of 500,000 merges, written as pairs, has 3 million

// Depth and number of values, from brackets and commas alone, before the parser makes anything of them.
std::string_view shape_error(std::string_view text) {
    size_t depth = 0, n_values = 0;
    for (size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '"') {
            for (++at; at < text.size() && text[at] != '"'; ++at)
                if (text[at] == '\\') ++at;
        } else if (c == '{' || c == '[') {
            if (++depth > max_depth) return "nests too deeply";
            ++n_values;
        } else if (c == '}' || c == ']') {
            if (depth > 0) --depth;
        } else if (c == ',' && ++n_values > max_values) {
            return "holds too many values";
        }
    }
    return {};
}

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view path) {
    if (const std::string_view wrong = shape_error(text); !wrong.empty()) throw ModelError(concat(printable(path), ": the JSON ", wrong));
    try {
        return nlohmann::json::parse(text);
    } catch (const nlohmann::json::exception& error) {
        std::string message = error.what();
        if (const size_t end = message.find("] "); end != std::string::npos) message.erase(0, end + 2);
        throw ModelError(concat(printable(path), ": is no JSON: ", printable(message, 200)));
    }
}

std::optional<std::string> read_file_if_there(const std::string& path, uint64_t most_bytes) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status)) return std::nullopt;
    if (std::filesystem::is_regular_file(status) && std::filesystem::file_size(path, error) == 0) return std::string();
    const MappedFile file(path);
    if (file.bytes().size() > most_bytes)
        throw ModelError(concat(printable(path), ": has ", file.bytes().size(), " bytes, more than the ", most_bytes, " of any real one"));
    return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

std::optional<nlohmann::json> read_json_file_if_there(const std::string& path) {
    const auto text = read_file_if_there(path);
    if (!text) return std::nullopt;
    return parse_json(*text, path);
}

nlohmann::json read_json_file(const std::string& path) {
    auto json = read_json_file_if_there(path);
    if (!json) throw ModelError(concat(printable(path), ": no such file"));
    return *std::move(json);
}

}  // namespace quern
