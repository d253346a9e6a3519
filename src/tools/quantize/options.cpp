#include "tools/quantize/options.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/cpu_features.h"
#include "base/error.h"
#include "convert/imatrix_file.h"
#include "gguf/metadata_override.h"
#include "tools/quantities.h"

namespace quern {
namespace {

DType read_dtype(const std::string& flag, const std::string& name) {
    if (const auto dtype = dtype_from_name(name)) return *dtype;
    throw InvalidInput(concat(flag, ": '", name, "' is no tensor type; try one such as q4_K, q6_K, q8_0 or f16"));
}

template <typename Number>
std::optional<Number> read_number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

QuantizeOptions::Override read_override(const std::string& text) {
    const size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0) throw InvalidInput(concat("--tensor-type '", text, "' is not PATTERN=TYPE"));
    try {
        return {NamePattern(text.substr(0, equals)), read_dtype("--tensor-type", text.substr(equals + 1))};
    } catch (const InvalidInput& error) {
        throw InvalidInput(concat("--tensor-type: ", error.what()));
    }
}

std::string type_names() {
    std::string names;
    for (const QuantizeType& type : all_quantize_types()) names += concat(names.empty() ? "" : ", ", type.name);
    return names;
}

/// COPY is no type, but stands where types do.
bool is_copy(std::string_view word) {
    constexpr std::string_view name = "COPY";
    return std::equal(word.begin(), word.end(), name.begin(), name.end(), [](char a, char b) { return (a & ~0x20) == b; });
}

QuantizeType read_type(const std::string& word) {
    if (const auto type = find_quantize_type(word)) return *type;
    throw InvalidInput(concat("'", word, "' is no type to quantize to; there are ", type_names()));
}

}  // namespace

void add_quantize_flags(CLI::App& app, QuantizeFlags& flags) {
    app.add_option("words", flags.words, "IN [OUT] TYPE [THREADS]; OUT is ggml-model-TYPE.gguf beside IN by default. With --fit no TYPE")
        ->required()
        ->expected(1, 4);
    app.add_option("--fit", flags.fit,
                   "Choose each tensor's type so that the file has this size and loses the least: 3.2GiB, 900MB, 4.1bpw")
        ->type_name("SIZE");
    app.add_option("--fit-types", flags.fit_types, "Types that --fit may choose, such as q4_K,q6_K; all that can be made by default")
        ->type_name("TYPES")
        ->delimiter(',')
        ->allow_extra_args(false);
    app.add_option("--fit-text", flags.fit_text, "Text to measure on, instead of quern's own sample")->type_name("FILE");
    app.add_option("--fit-tokens", flags.fit_tokens, "Tokens of that text to measure on")
        ->check(CLI::Range(int64_t{32}, int64_t{1} << 14))
        ->capture_default_str()
        ->type_name("N");
    app.add_option("--imatrix", flags.imatrix, "Importance matrix, from quern imatrix or llama.cpp: fewer errors where they matter")
        ->type_name("FILE");
    app.add_option("--include-weights", flags.included_weights, "Use the matrix for tensors with this in their names only; may be repeated")
        ->type_name("NAME")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    app.add_option("--exclude-weights", flags.excluded_weights,
                   "Don't use the matrix for tensors with this in their names; may be repeated")
        ->type_name("NAME")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    app.add_option("--tensor-type", flags.tensor_types, "Type of the tensors in whose names the pattern is found; may be repeated")
        ->type_name("REGEX=TYPE")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    app.add_option("--output-tensor-type", flags.output_type, "Type of the output tensor")->type_name("TYPE");
    app.add_option("--token-embedding-type", flags.embedding_type, "Type of the token embeddings")->type_name("TYPE");
    app.add_flag("--pure", flags.pure, "Every matrix in the type's own format, none in a better one");
    app.add_flag("--leave-output-tensor", flags.leave_output, "Leave output.weight as it is");
    app.add_flag("--allow-requantize", flags.allow_requantize, "Accept a file that is quantized already; it loses once more");
    app.add_flag("--keep-split", flags.keep_split, "Write as many files as there are");
    app.add_flag("--dry-run", flags.dry_run, "Print the plan and write nothing");
    app.add_option("--override-kv", flags.key_overrides, "Set a key: KEY=int:5, float:0.5, bool:true or str:text; may be repeated")
        ->type_name("KEY=TYPE:VALUE")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    app.add_option("-t,--threads", flags.n_threads, "Threads (0: the physical cores)")->check(CLI::Range(0, 1024));
    std::string types = "Types (by name in any case, or number):\n";
    for (const QuantizeType& type : all_quantize_types()) {
        char line[160];
        std::snprintf(line, sizeof line, "  %2d  %-10s %s\n", static_cast<int>(type.file_type), std::string(type.name).c_str(),
                      std::string(type.about).c_str());
        types += line;
    }
    types += "      COPY       every tensor as it is: for --override-kv and for joining parts\n";
    app.footer(types);
}

namespace {

int read_threads(const std::string& word) {
    const auto n = read_number<int>(word);
    if (!n || *n < 0 || *n > 1024) throw InvalidInput(concat("'", word, "' is no number of threads"));
    return *n;
}

// IN [OUT] [THREADS]
void read_fit(const QuantizeFlags& flags, QuantizeRequest& request) {
    const std::vector<std::string>& words = flags.words;
    request.fit = {.budget = parse_fit_budget(flags.fit), .text_file = flags.fit_text, .n_tokens = flags.fit_tokens};
    for (const std::string& name : flags.fit_types) request.fit->formats.push_back(read_dtype("--fit-types", name));
    const bool has_out = words.size() > 1 && !read_number<int>(words[1]);
    const size_t n_words = has_out ? 2 : 1;
    for (size_t i = 1; i < words.size(); ++i)
        if (find_quantize_type(words[i]) && !read_number<int>(words[i]))
            throw InvalidInput(concat("--fit chooses the types by itself: leave out ", words[i]), "fit");
    if (words.size() > n_words + 1) throw InvalidInput(concat("'", words.back(), "' is one word too many"));
    if (words.size() > n_words) request.n_threads = read_threads(words[n_words]);
    const std::filesystem::path folder = std::filesystem::path(request.in).parent_path();
    request.out = has_out ? words[1] : (folder / concat("ggml-model-", flags.fit, ".gguf")).string();
}

void read_recipe(const QuantizeFlags& flags, QuantizeRequest& request) {
    const std::vector<std::string>& words = flags.words;
    if (words.size() < 2) throw InvalidInput(concat("a type is needed, such as Q4_K_M; there are ", type_names()));
    // IN TYPE [THREADS] or IN OUT TYPE [THREADS]: what stands second is a type, or else it is a file.
    const auto is_type = [](const std::string& word) { return is_copy(word) || find_quantize_type(word); };
    // A number behind a type is the threads', though there are types by number, too.
    const bool has_out = words.size() > 2 && (!is_type(words[1]) || (is_type(words[2]) && !read_number<int>(words[2])));
    const size_t type_at = has_out ? 2 : 1;
    request.options.copy = is_copy(words[type_at]);
    request.options.type = request.options.copy ? *find_quantize_type("F32") : read_type(words[type_at]);
    if (words.size() > type_at + 2) throw InvalidInput(concat("'", words.back(), "' is one word too many"));
    if (words.size() == type_at + 2) request.n_threads = read_threads(words.back());
    const std::filesystem::path folder = std::filesystem::path(request.in).parent_path();
    request.out =
        has_out ? words[1] : (folder / concat("ggml-model-", request.options.copy ? "COPY" : request.options.type.name, ".gguf")).string();
}

}  // namespace

FitBudget parse_fit_budget(const std::string& text) {
    constexpr std::string_view unit = "bpw";
    FitBudget budget;
    if (!text.ends_with(unit)) {
        budget.file_bytes = parse_bytes(text);
        if (budget.file_bytes == 0) throw InvalidInput(concat("--fit ", text, ": no file is that small"), "fit");
        return budget;
    }
    const auto bits = read_number<double>(std::string_view(text).substr(0, text.size() - unit.size()));
    if (!bits || !(*bits > 0) || *bits > 32) throw InvalidInput(concat("--fit '", text, "' is no number of bits: write 4.1bpw"), "fit");
    budget.bits_per_weight = *bits;
    return budget;
}

QuantizeRequest read_quantize_request(const QuantizeFlags& flags) {
    QuantizeRequest request{.in = flags.words[0], .n_threads = flags.n_threads};
    if (flags.fit.empty() && (!flags.fit_types.empty() || !flags.fit_text.empty()))
        throw InvalidInput("--fit-types and --fit-text go with --fit SIZE", "fit");
    if (flags.fit.empty())
        read_recipe(flags, request);
    else
        read_fit(flags, request);
    if (request.n_threads == 0) request.n_threads = usable_cores();
    request.options.pure = flags.pure;
    request.options.leave_output = flags.leave_output;
    request.options.allow_requantize = flags.allow_requantize;
    if (!flags.output_type.empty()) request.options.output_dtype = read_dtype("--output-tensor-type", flags.output_type);
    if (!flags.embedding_type.empty()) request.options.embedding_dtype = read_dtype("--token-embedding-type", flags.embedding_type);
    if (!flags.imatrix.empty()) request.imatrix = read_imatrix(flags.imatrix).imatrix;
    const bool chooses = !flags.included_weights.empty() || !flags.excluded_weights.empty();
    if (chooses && !request.imatrix) throw InvalidInput("--include-weights and --exclude-weights go with --imatrix FILE", "imatrix");
    if (request.imatrix) choose_entries(*request.imatrix, flags.included_weights, flags.excluded_weights);
    for (const std::string& text : flags.tensor_types) request.options.overrides.push_back(read_override(text));
    return request;
}

void override_key(GgufWriter& writer, const std::string& text) {
    const MetadataOverride override = parse_metadata_override(text);
    if (const auto* integer = std::get_if<int64_t>(&override.value)) {
        if (*integer >= 0 && *integer <= 0xFFFFFFFF)
            writer.set(override.key, static_cast<uint32_t>(*integer));
        else
            writer.set(override.key, *integer);
    } else if (const auto* number = std::get_if<double>(&override.value)) {
        writer.set(override.key, static_cast<float>(*number));
    } else if (const auto* flag = std::get_if<bool>(&override.value)) {
        writer.set(override.key, *flag);
    } else {
        writer.set(override.key, std::string_view(std::get<std::string>(override.value)));
    }
}

}  // namespace quern
