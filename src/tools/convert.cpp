// quern convert: a Hugging Face checkpoint as a GGUF file. The names and flags of llama.cpp's two scripts of 2024 are understood, too.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/printable.h"
#include "convert/conversion.h"
#include "convert/imatrix.h"
#include "convert/imatrix_file.h"
#include "tools/command_line.h"
#include "tools/progress_line.h"
#include "tools/quantities.h"

namespace quern {
namespace {

using Clock = std::chrono::steady_clock;

struct ConvertFlags {
    std::string folder, type, out, vocabulary_kinds, vocabulary_folder, name, metadata, max_size, imatrix;
    size_t max_tensors = 0;
    int n_ctx = 0, n_threads = 0, concurrency = 0;
    bool vocabulary_only = false, skip_unknown = false, dry_run = false, list_models = false;
    bool pad = false, ignored = false, big_endian = false;
    std::string awq_path;
};

/// What a script's name implies.
struct Defaults {
    const char* type;
    const char* out;  ///< of the file, in the model's folder; nullptr: NAME-TYPE.gguf
};

void add_flags(CLI::App& app, ConvertFlags& flags) {
    app.add_option("model", flags.folder, "Folder with config.json, weights (safetensors or PyTorch) and tokenizer")
        ->type_name("MODEL_DIR");
    app.add_option("--outtype", flags.type,
                   "f32, f16, bf16, auto (16 bits as the checkpoint has them), or any type of quern quantize: q4_k_m, q8_0 ...")
        ->type_name("TYPE");
    app.add_option("--outfile", flags.out, "File to write; {ftype} in it becomes the type")->type_name("FILE");
    app.add_option("--vocab-type", flags.vocabulary_kinds,
                   "Tokenizer files to look at, in order: spm, hfft, bpe, tiktoken, wordpiece, fairseq")
        ->type_name("LIST");
    app.add_option("--vocab-dir", flags.vocabulary_folder, "Folder of the tokenizer, if it is another one")->type_name("DIR");
    app.add_option("--imatrix", flags.imatrix, "Importance matrix, for types that lose less with one or need one")->type_name("FILE");
    app.add_option("--model-name", flags.name, "general.name (default: the folder's)")->type_name("NAME");
    app.add_option("--metadata", flags.metadata, "JSON file of more keys")->type_name("FILE");
    app.add_option("--split-max-size", flags.max_size, "Write parts of at most this size, such as 2G")->type_name("SIZE");
    app.add_option("--split-max-tensors", flags.max_tensors, "Write parts of at most so many tensors")->type_name("N");
    app.add_option("--ctx", flags.n_ctx, "Context length, instead of the config's")->check(CLI::Range(1, 1 << 30))->type_name("N");
    app.add_flag("--vocab-only", flags.vocabulary_only, "Write the keys and the vocabulary without weights");
    app.add_flag("--skip-unknown", flags.skip_unknown, "Leave out tensors that have no place in the model");
    app.add_flag("--dry-run,--dump,--dump-single", flags.dry_run, "Print the plan and write nothing");
    app.add_flag("--print-supported-models", flags.list_models, "List the architectures that can be converted");
    app.add_option("-t,--threads", flags.n_threads, "Threads (0: the physical cores)")->check(CLI::Range(0, 1024));
    app.add_option("--concurrency", flags.concurrency, "The same as --threads")->check(CLI::Range(0, 1024))->group("");
    app.add_flag("--pad-vocab,--padvocab", flags.pad, "Accepted: the vocabulary is always filled up to the embeddings' rows");
    app.add_flag("--no-lazy,--use-temp-file,--verbose", flags.ignored, "Accepted: memory is bounded without them")->group("");
    app.add_flag("--bigendian,--big-endian", flags.big_endian)->group("");
    app.add_option("--awq-path", flags.awq_path)->group("");
}

std::optional<QuantizeType> read_type(const std::string& word) {
    if (word.empty() || word == "auto") return std::nullopt;
    if (const auto type = find_quantize_type(word)) return type;
    std::string names;
    for (const QuantizeType& type : all_quantize_types()) names += concat(names.empty() ? "" : ", ", type.name);
    throw InvalidInput(concat("--outtype: '", word, "' is no type; there are auto, ", names));
}

std::string out_path(const ConvertFlags& flags, const Defaults& defaults, const Conversion& conversion) {
    const std::string type(conversion.type().name);
    std::string path = flags.out;
    if (path.empty() && defaults.out) path = (std::filesystem::path(flags.folder) / defaults.out).string();
    if (path.empty()) {
        std::string name = conversion.name();
        std::replace(name.begin(), name.end(), '/', '-');
        path = (std::filesystem::path(flags.folder) / (flags.vocabulary_only ? name + "-vocab.gguf" : name + "-{ftype}.gguf")).string();
    }
    std::string lower = type;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const auto& [mark, text] :
         {std::pair<std::string, std::string>{"{ftype}", flags.out.empty() && !defaults.out ? type : lower}, {"{FTYPE}", type}})
        for (size_t at; (at = path.find(mark)) != std::string::npos;) path.replace(at, mark.size(), text);
    return path;
}

void print_plan(const Conversion& conversion) {
    uint64_t n_bytes = 0, n_values = 0;
    std::map<DType, size_t> formats;
    size_t width = 0, number = 0;
    for (const PlannedTensor& each : conversion.plan()) width = std::max(width, each.source->name.size());
    for (const PlannedTensor& each : conversion.plan()) {
        std::printf("[%4zu/%4zu] %-*s %-16s -> %-7s %10s%s\n", ++number, conversion.plan().size(), static_cast<int>(width),
                    std::string(each.source->name).c_str(), to_string(each.source->view.shape).c_str(),
                    std::string(dtype_name(each.dtype)).c_str(), human_bytes(each.bytes()).c_str(),
                    each.fell_back ? concat("  (", dtype_name(each.wanted), " does not divide its rows)").c_str() : "");
        n_bytes += each.bytes();
        n_values += static_cast<uint64_t>(each.source->view.shape.n_values());
        ++formats[each.dtype];
    }
    std::string list;
    for (const auto& [dtype, n] : formats) list += concat(list.empty() ? "" : ", ", n, " ", dtype_name(dtype));
    std::printf(
        "%s: %s parameters, %zu tokens; %s as %s, %.2f bits per weight; tensors: %s\n", std::string(conversion.architecture()).c_str(),
        human_count(n_values).c_str(), conversion.n_tokens(), human_bytes(n_bytes).c_str(), std::string(conversion.type().name).c_str(),
        n_values == 0 ? 0.0 : 8.0 * static_cast<double>(n_bytes) / static_cast<double>(n_values), list.empty() ? "none" : list.c_str());
    std::fflush(stdout);
}

SplitLimits split_limits(const ConvertFlags& flags) {
    return {.max_tensors = flags.max_tensors,
            .max_bytes = flags.max_size.empty() || flags.max_size == "0" ? 0 : parse_bytes(flags.max_size)};
}

void write(const ConvertFlags& flags, const Conversion& conversion, const std::string& path, int n_threads) {
    ThreadPool pool(n_threads);
    ProgressLine line;
    uint64_t n_done = 0, n_all = 0;
    for (const PlannedTensor& each : conversion.plan()) n_all += each.source->view.bytes();
    const auto paths = conversion.write(path, split_limits(flags), pool, [&](const PlannedTensor& done, uint64_t n_read, uint64_t) {
        n_done += n_read;
        const auto rate = static_cast<uint64_t>(static_cast<double>(n_done) / std::max(line.seconds(), 1e-3));
        line.show(static_cast<double>(n_done) / static_cast<double>(std::max<uint64_t>(1, n_all)),
                  concat(human_bytes(rate), "/s  ", done.source->name));
    });
    const double seconds = line.seconds();
    std::printf("%s%s written in %.1f s (%s/s read, %d threads)\n", paths.front().c_str(),
                paths.size() > 1 ? concat(" and ", paths.size() - 1, " more").c_str() : "", seconds,
                human_bytes(static_cast<uint64_t>(static_cast<double>(n_done) / std::max(seconds, 1e-3))).c_str(), n_threads);
}

int convert(const ConvertFlags& flags, const Defaults& defaults) {
    if (flags.list_models) {
        std::printf("%s\n", known_checkpoint_classes().c_str());
        return 0;
    }
    if (flags.folder.empty())
        throw InvalidInput("which folder? Give the one that holds config.json and the weights (see quern convert --help)");
    if (flags.big_endian) throw InvalidInput("--bigendian: quern writes little-endian files only", "--bigendian");
    if (!flags.awq_path.empty())
        throw InvalidInput("--awq-path: quern does not apply AWQ scales; convert the checkpoint that has them applied", "--awq-path");
    std::vector<std::string> warnings;
    Importance importance;
    if (!flags.imatrix.empty()) importance = importance_of(read_imatrix(flags.imatrix).imatrix);
    const ConvertOptions options{.folder = flags.folder,
                                 .type = read_type(flags.type.empty() ? defaults.type : flags.type),
                                 .vocabulary_kinds = flags.vocabulary_kinds,
                                 .vocabulary_folder = flags.vocabulary_folder,
                                 .model_name = flags.name,
                                 .metadata_file = flags.metadata,
                                 .n_ctx = flags.n_ctx > 0 ? std::optional(static_cast<uint32_t>(flags.n_ctx)) : std::nullopt,
                                 .vocabulary_only = flags.vocabulary_only,
                                 .skip_unknown = flags.skip_unknown,
                                 .importance = flags.imatrix.empty() ? nullptr : &importance};
    const Conversion conversion(options, [&](const std::string& text) { warnings.push_back(text); });
    print_plan(conversion);
    for (const std::string& text : warnings) std::fprintf(stderr, "quern convert: note: %s\n", text.c_str());
    if (flags.dry_run) return 0;
    const int asked = flags.n_threads > 0 ? flags.n_threads : flags.concurrency;
    write(flags, conversion, out_path(flags, defaults, conversion), asked > 0 ? asked : usable_cores());
    return 0;
}

template <const Defaults& defaults>
Command setup(CLI::App& app) {
    const auto flags = std::make_shared<ConvertFlags>();
    add_flags(app, *flags);
    return [flags] { return convert(*flags, defaults); };
}

constexpr Defaults plain{"auto", nullptr}, script{"auto", "ggml-model-{ftype}.gguf"}, hf_script{"f16", "ggml-model-{ftype}.gguf"};

}  // namespace

const Subcommand convert_command{"convert", "Make a GGUF file of a Hugging Face checkpoint", setup<plain>};
const Subcommand convert_py_command{"convert.py", "convert, with the defaults of llama.cpp's script of that name", setup<script>};
const Subcommand convert_hf_command{"convert-hf-to-gguf.py", "convert, with the defaults of llama.cpp's script of that name",
                                    setup<hf_script>};

}  // namespace quern
