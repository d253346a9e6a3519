#include "tools/adapter_flags.h"

#include <charconv>
#include <optional>

#include "base/error.h"

namespace quern {
namespace {

std::optional<float> number(std::string_view text) {
    float value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

AdapterSource parse_adapter(const std::string& text) {
    AdapterSource source{.path = text};
    if (const size_t sign = text.find_last_of("=:"); sign != std::string::npos)
        if (const auto scale = number(std::string_view(text).substr(sign + 1))) source = {text.substr(0, sign), *scale};
    if (source.path.empty()) throw InvalidInput(concat("an adapter needs a file, not \"", text, "\""), "lora");
    return source;
}

std::vector<AdapterSource> parse_adapters(std::span<const std::string> words) {
    std::vector<AdapterSource> sources;
    for (size_t i = 0; i < words.size(); ++i) {
        sources.push_back(parse_adapter(words[i]));
        if (i + 1 == words.size()) break;
        if (const auto scale = number(words[i + 1])) sources.back().scale = *scale, ++i;
    }
    return sources;
}

void declare_adapter_flags(CLI::App& app, EngineOptions& options) {
    const auto add = [&options](const std::vector<std::string>& words) {
        for (AdapterSource& each : parse_adapters(words)) options.adapters.push_back(std::move(each));
    };
    app.add_option_function<std::vector<std::string>>(
           "--lora", add, "apply a LoRA adapter (GGUF), at a scale other than 1 if one is given; may be given several times")
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->type_name("FILE[=SCALE]");
    app.add_option_function<std::vector<std::string>>("--lora-scaled", add, "FILE SCALE: the same as --lora FILE=SCALE")
        ->expected(1, 2)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->type_name("FILE SCALE");
}

}  // namespace quern
