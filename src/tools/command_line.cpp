#include "tools/command_line.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/error.h"

namespace quern {
namespace {

struct Word {
    std::string_view word;
    std::string_view option;
};

/// The single-dash words of llama.cpp's programs from 2024 to 2026 and the long options they stand for.
constexpr Word single_dash_words[] = {
    {"bf", "binary-file"},
    {"cb", "cont-batching"},
    {"cd", "ctx-size-draft"},
    {"cml", "chatml"},
    {"cmoe", "cpu-moe"},
    {"cnv", "conversation"},
    {"cram", "cache-ram"},
    {"ctk", "cache-type-k"},
    {"ctkd", "cache-type-k-draft"},
    {"ctv", "cache-type-v"},
    {"ctvd", "cache-type-v-draft"},
    {"ctxcp", "ctx-checkpoints"},
    {"dev", "device"},
    {"devd", "device-draft"},
    {"dkvc", "dump-kv-cache"},
    {"dt", "defrag-thold"},
    {"embd", "embeddings"},
    {"fa", "flash-attn"},
    {"fit", "fit"},
    {"gan", "grp-attn-n"},
    {"gaw", "grp-attn-w"},
    {"hf", "hf-repo"},
    {"hfd", "hf-repo-draft"},
    {"hff", "hf-file"},
    {"hffv", "hf-file-v"},
    {"hfr", "hf-repo"},
    {"hft", "hf-token"},
    {"hfv", "hf-repo-v"},
    {"if", "interactive-first"},
    {"ins", "instruct"},
    {"jf", "json-schema-file"},
    {"kvu", "kv-unified"},
    {"lcd", "lookup-cache-dynamic"},
    {"lcs", "lookup-cache-static"},
    {"lv", "verbosity"},
    {"md", "model-draft"},
    {"mg", "main-gpu"},
    {"mli", "multiline-input"},
    {"mm", "mmproj"},
    {"mmp", "mmap"},
    {"mu", "model-url"},
    {"mv", "model-vocoder"},
    {"ncmoe", "n-cpu-moe"},
    {"ngl", "n-gpu-layers"},
    {"ngld", "n-gpu-layers-draft"},
    {"nkvo", "no-kv-offload"},
    {"no-cnv", "no-conversation"},
    {"no-fa", "no-flash-attn"},
    {"nocb", "no-cont-batching"},
    {"np", "parallel"},
    {"npl", "n-parallel-list"},
    {"npp", "n-prompt-list"},
    {"nr", "no-repack"},
    {"ns", "sequences"},
    {"ntg", "n-generate-list"},
    {"oe", "output-err"},
    {"ofreq", "output-frequency"},
    {"ot", "override-tensor"},
    {"pg", "prompt-and-generate"},
    {"pps", "shared-prompt"},
    {"ptc", "print-token-count"},
    {"sm", "split-mode"},
    {"sp", "special"},
    {"sps", "slot-prompt-similarity"},
    {"st", "single-turn"},
    {"sys", "system-prompt"},
    {"sysf", "system-prompt-file"},
    {"tb", "threads-batch"},
    {"tbd", "threads-batch-draft"},
    {"td", "threads-draft"},
    {"to", "timeout"},
    {"ts", "tensor-split"},
    {"ub", "ubatch-size"},
};

bool is_number(std::string_view text) {
    if (!text.empty() && text.front() == '-') text.remove_prefix(1);
    return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front()));
}

/// A flag as typed, taken apart: its name with dashes, and what stands behind `=`.
struct Typed {
    std::string name;
    std::string value;
    bool has_value = false;
};

Typed take_apart(std::string_view argument) {
    Typed typed;
    const size_t equals = argument.find('=');
    typed.name = std::string(argument.substr(0, equals));
    if (equals != std::string_view::npos) {
        typed.has_value = true;
        typed.value = std::string(argument.substr(equals + 1));
    }
    std::replace(typed.name.begin(), typed.name.end(), '_', '-');
    if (typed.name.size() <= 2 || typed.name.starts_with("--")) return typed;

    const std::string_view word = std::string_view(typed.name).substr(1);
    const auto* known =
        std::find_if(std::begin(single_dash_words), std::end(single_dash_words), [&](const Word& w) { return w.word == word; });
    if (known == std::end(single_dash_words)) throw InvalidInput(concat("unknown flag ", argument));
    typed.name = concat("--", known->option);
    return typed;
}

/// `-t4`: a single letter with its number attached.
bool is_attached_number(std::string_view argument) { return argument.size() > 2 && argument[1] != '-' && is_number(argument.substr(2)); }

}  // namespace

std::vector<std::string> normalize_flags(const CLI::App& app, std::span<const char* const> arguments) {
    std::vector<std::string> out;
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "--") {  // what follows is positional
            out.insert(out.end(), arguments.begin() + i, arguments.end());
            break;
        }
        if (argument.size() < 2 || argument.front() != '-' || is_number(argument) || is_attached_number(argument)) {
            out.emplace_back(argument);
            continue;
        }
        Typed typed = take_apart(argument);
        const CLI::Option* option = app.get_option_no_throw(typed.name);
        const bool takes_value = option != nullptr && option->get_items_expected_min() > 0;
        if (!takes_value && typed.has_value) {
            out.push_back(concat(typed.name, "=", typed.value));
            continue;
        }
        out.push_back(std::move(typed.name));
        // Its own argument even behind `=`, since CLI11 takes `--prompt=` for a missing value.
        if (typed.has_value)
            out.push_back(std::move(typed.value));
        else if (takes_value && i + 1 < arguments.size())
            out.emplace_back(arguments[++i]);
    }
    return out;
}

}  // namespace quern
