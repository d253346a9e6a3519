#include "convert/vocabulary/pre_tokenizer_name.h"

#include <charconv>

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "text/tokenizer/pre_tokenizer_families.h"

namespace quern {
namespace {

constexpr int deepest_sequence = 8;
constexpr std::string_view gpt2_pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

std::string text_of(const nlohmann::json& json, const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

bool flag_of(const nlohmann::json& json, const char* name, bool otherwise) {
    const auto found = json.find(name);
    return found != json.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (std::string_view(R"(\^$.|?*+()[]{}-/#&~)").find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
    return out;
}

/// The pattern of a Split step, whose matches are words; nothing for the other behaviours.
std::optional<std::string> split_pattern(const nlohmann::json& step) {
    const auto pattern = step.find("pattern");
    if (pattern == step.end() || !pattern->is_object()) return std::nullopt;
    const std::string behavior = text_of(step, "behavior");
    const bool inverted = flag_of(step, "invert", false);
    // Removing what stands between the matches is the same where the pattern covers all text, as those that are used this way do.
    if (behavior != "Isolated" && !(behavior == "Removed" && inverted)) return std::nullopt;
    if (std::string regex = text_of(*pattern, "Regex"); !regex.empty()) return regex;
    if (const std::string text = text_of(*pattern, "String"); !text.empty()) return escaped(text);
    return std::nullopt;
}

bool add_step(const nlohmann::json& step, int depth, std::vector<std::string>& patterns) {
    if (step.is_null()) return true;
    if (!step.is_object() || depth > deepest_sequence) return false;
    const std::string type = text_of(step, "type");
    if (type == "Sequence") {
        const auto steps = step.find("pretokenizers");
        if (steps == step.end() || !steps->is_array()) return false;
        for (const nlohmann::json& each : *steps)
            if (!add_step(each, depth + 1, patterns)) return false;
        return true;
    }
    if (type == "ByteLevel") {
        if (flag_of(step, "use_regex", true)) patterns.emplace_back(gpt2_pattern);
        return true;
    }
    if (type == "Digits") {
        patterns.emplace_back(flag_of(step, "individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)");
        return true;
    }
    if (type == "Punctuation") {
        patterns.emplace_back(text_of(step, "behavior") == "Contiguous" ? R"([!-/:-@\[-`{-~\p{P}]+)" : R"([!-/:-@\[-`{-~\p{P}])");
        return text_of(step, "behavior") == "Contiguous" || text_of(step, "behavior") == "Isolated";
    }
    if (type != "Split") return false;
    auto pattern = split_pattern(step);
    if (pattern) patterns.push_back(*std::move(pattern));
    return pattern.has_value();
}

/// \x{41}, \u0041 and \n become the character itself, so that two spellings of one pattern are equal.
std::string plain_spelling(std::string_view pattern) {
    std::string out;
    for (size_t at = 0; at < pattern.size(); ++at) {
        const std::string_view rest = pattern.substr(at);
        uint32_t code = 0;
        size_t begin = 0, end = 0;
        if (rest.starts_with("\\x{")) begin = 3, end = rest.find('}');
        if (rest.starts_with("\\u") && rest.size() >= 6) begin = 2, end = 6;
        const bool is_code = begin && end != std::string_view::npos &&
                             std::from_chars(rest.data() + begin, rest.data() + end, code, 16).ptr == rest.data() + end;
        if (is_code) {
            append_utf8(out, code);
            at += rest[1] == 'x' ? end : end - 1;
        } else {
            const bool is_escape = pattern[at] == '\\' && at + 1 < pattern.size();
            const size_t control = is_escape ? std::string_view("nrt").find(pattern[at + 1]) : std::string_view::npos;
            if (control == std::string_view::npos) out += pattern[at];
            if (is_escape) out += control == std::string_view::npos ? pattern[at + 1] : "\n\r\t"[control];
            at += is_escape;
        }
    }
    // One of quern's own patterns looks back only to be fast.
    constexpr std::string_view fast = R"((?<!\s)\s+$)", slow = R"(\s+$)";
    return out == fast ? std::string(slow) : out;
}

bool are_the_same(const std::vector<std::string>& patterns, const PreTokenizerFamily& family) {
    if (!family.byte_patterns.empty() || family.patterns.size() != patterns.size()) return false;
    for (size_t i = 0; i < patterns.size(); ++i)
        if (plain_spelling(patterns[i]) != plain_spelling(family.patterns[i])) return false;
    return true;
}

}  // namespace

std::optional<std::vector<std::string>> pre_tokenizer_patterns(const nlohmann::json& pre_tokenizer) {
    std::vector<std::string> patterns;
    return add_step(pre_tokenizer, 0, patterns) ? std::optional(patterns) : std::nullopt;
}

std::string pre_tokenizer_name(const std::vector<std::string>& patterns, bool takes_whole_words) {
    // Many names mean the same; these are the ones that every program of the kind knows.
    constexpr std::string_view names[] = {"gpt-2",  "llama-bpe",    "dbrx",           "qwen2",       "smollm",
                                          "gpt-4o", "deepseek-llm", "deepseek-coder", "deepseek-v3", "tekken",
                                          "viking", "bloom",        "seed-coder",     "kimi-k2",     "bailingmoe"};
    for (const std::string_view name : names) {
        const PreTokenizerFamily* family = find_pre_tokenizer_family(name);
        if (family && family->takes_whole_words == takes_whole_words && are_the_same(patterns, *family)) return std::string(name);
    }
    return {};
}

}  // namespace quern
