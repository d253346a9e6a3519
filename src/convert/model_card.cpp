#include "convert/model_card.h"

#include <limits>

#include "base/error.h"
#include "base/printable.h"
#include "convert/checkpoint/json_file.h"

namespace quern {
namespace {

constexpr uint64_t most_card_bytes = uint64_t{4} << 20;

std::string trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\t')) text.remove_suffix(1);
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
        text = text.substr(1, text.size() - 2);
    return std::string(text);
}

/// A very small part of YAML: "name: value" and lists of "- value" below "name:".
struct CardEntry {
    std::string name, value;
    std::vector<std::string> list;
};

std::vector<CardEntry> read_front_matter(std::string_view text) {
    std::vector<CardEntry> entries;
    if (!text.starts_with("---")) return entries;
    text.remove_prefix(std::min(text.size(), text.find('\n')));
    while (text.size() > 1) {
        text.remove_prefix(1);
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end);
        if (line.starts_with("---")) break;
        const std::string plain = trimmed(line);
        const size_t colon = line.find(':');
        if (plain.starts_with("- ") && !entries.empty()) {
            entries.back().list.push_back(trimmed(std::string_view(plain).substr(2)));
        } else if (!line.empty() && line.front() != ' ' && line.front() != '#' && colon != std::string_view::npos) {
            entries.push_back({trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)), {}});
        }
    }
    return entries;
}

void set_from_json(const std::string& path, const std::string& key, const nlohmann::json& value, GgufWriter& keys) {
    if (value.is_string()) return keys.set(key, std::string_view(value.get_ref<const std::string&>()));
    if (value.is_boolean()) return keys.set(key, value.get<bool>());
    if (value.is_number_unsigned() && value.get<uint64_t>() <= std::numeric_limits<uint32_t>::max())
        return keys.set(key, value.get<uint32_t>());
    if (value.is_number_integer()) return keys.set(key, value.get<int64_t>());
    if (value.is_number_float()) return keys.set(key, value.get<float>());
    std::vector<std::string> texts;
    if (value.is_array())
        for (const nlohmann::json& each : value)
            if (each.is_string()) texts.push_back(each.get<std::string>());
    if (!value.is_array() || texts.size() != value.size())
        throw ModelError(concat(printable(path), ": key ", quoted(key), " is no text, number, true, false or list of texts"));
    keys.set_strings(key, std::span<const std::string>(texts));
}

}  // namespace

void set_model_card_keys(const std::string& folder, GgufWriter& keys) {
    const auto text = read_file_if_there(folder + "/README.md", most_card_bytes);
    if (!text || !is_utf8(*text)) return;
    for (const CardEntry& entry : read_front_matter(*text)) {
        std::vector<std::string> list = entry.list;
        if (list.empty() && !entry.value.empty() && entry.value.front() != '[') list.push_back(entry.value);
        if (entry.name == "license" && list.size() == 1) keys.set("general.license", std::string_view(list.front()));
        if (entry.name == "license_name" && list.size() == 1) keys.set("general.license.name", std::string_view(list.front()));
        if (entry.name == "license_link" && list.size() == 1) keys.set("general.license.link", std::string_view(list.front()));
        if (entry.name == "tags" && !list.empty()) keys.set_strings("general.tags", std::span<const std::string>(list));
        if (entry.name == "language" && !list.empty()) keys.set_strings("general.languages", std::span<const std::string>(list));
    }
}

void set_metadata_file_keys(const std::string& path, GgufWriter& keys) {
    const nlohmann::json json = read_json_file(path);
    if (!json.is_object()) throw ModelError(concat(printable(path), ": is no JSON object"));
    for (const auto& [name, value] : json.items())
        set_from_json(path, name.find('.') == std::string::npos ? "general." + name : name, value, keys);
}

}  // namespace quern
