#include "server/misspelt.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/error.h"

namespace quern {
namespace {

using Tables = std::initializer_list<std::span<const FieldRule>>;

constexpr size_t shortest = 5;       // of shorter names, one letter more or less is often another name
constexpr size_t most_fields = 256;  // of an honest body

/// What other APIs call it, and what it may be called here.
struct OtherName {
    std::string_view name, ours;
};

constexpr OtherName other_names[] = {
    {"max_new_tokens", "max_tokens"}, {"max_output_tokens", "max_tokens"}, {"num_predict", "max_tokens"},
    {"max_length", "max_tokens"},     {"max_tokens", "max_output_tokens"}, {"max_completion_tokens", "max_output_tokens"},
    {"stop_sequences", "stop"},       {"stop", "stop_sequences"},          {"random_seed", "seed"},
};

// Of other APIs, and harmless to leave out, however close they come to one of ours.
constexpr std::string_view foreign[] = {"models"};

bool is_known(std::string_view name, Tables tables) {
    for (const auto table : tables)
        for (const FieldRule& rule : table)
            if (name == rule.name) return true;
    return false;
}

std::string letters_of(std::string_view name) {
    std::string out;
    for (const char c : name)
        if (c != '_' && c != '-') out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
}

/// One letter is missing, too many or another one, or two have changed places.
bool is_one_slip(std::string_view a, std::string_view b) {
    if (a.size() > b.size()) std::swap(a, b);
    if (b.size() - a.size() > 1) return false;
    const size_t begin = static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin());
    if (a.size() < b.size()) return a.substr(begin) == b.substr(begin + 1);
    if (a.substr(begin + 1) == b.substr(begin + 1)) return true;
    return begin + 1 < a.size() && a[begin] == b[begin + 1] && a[begin + 1] == b[begin] && a.substr(begin + 2) == b.substr(begin + 2);
}

std::string_view meant_by(std::string_view name, Tables tables) {
    for (const OtherName& other : other_names)
        if (other.name == name && is_known(other.ours, tables)) return other.ours;
    if (std::find(std::begin(foreign), std::end(foreign), name) != std::end(foreign)) return {};
    for (const auto table : tables)
        for (const FieldRule& rule : table) {
            const std::string_view ours = rule.name;
            if (ours.size() > name.size() + 4 || name.size() > ours.size() + 4) continue;
            const bool is_long = std::min(name.size(), ours.size()) >= shortest;
            if ((is_long && is_one_slip(name, ours)) || letters_of(name) == letters_of(ours)) return ours;
        }
    return {};
}

}  // namespace

void refuse_misspelt_fields(const Json& body, Tables tables) {
    if (body.size() > most_fields) return;
    for (const auto& [name, value] : body.items()) {
        if (value.is_null() || is_known(name, tables)) continue;
        const std::string_view ours = meant_by(name, tables);
        if (!ours.empty()) refuse_unsupported(name, concat("here it is called '", ours, "'"));
    }
}

}  // namespace quern
