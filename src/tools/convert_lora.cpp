// quern convert-lora: an adapter that PEFT has saved as a GGUF adapter.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/cpu_features.h"
#include "base/error.h"
#include "convert/adapter_conversion.h"
#include "tools/command_line.h"
#include "tools/quantities.h"

namespace quern {
namespace {

struct ConvertLoraFlags {
    std::string folder, base, out, type = "f16", name;
    int n_threads = 0;
    bool dry_run = false, ignored = false;
};

DType read_type(const std::string& word) {
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        std::string name(dtype_name(dtype));
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (name == word) return dtype;
    }
    throw InvalidInput(concat("--outtype: '", word, "' is no type of adapters; there are f32, f16, bf16"), "outtype");
}

int convert_lora(const ConvertLoraFlags& flags) {
    const DType dtype = read_type(flags.type);
    const AdapterConversion conversion({.folder = flags.folder, .base = flags.base, .dtype = dtype, .name = flags.name});
    const std::string type(dtype_name(dtype));
    std::string path = flags.out;
    if (path.empty()) path = (std::filesystem::path(flags.folder) / concat(conversion.name(), "-", type, "-LoRA.gguf")).string();
    if (const size_t at = path.find("{ftype}"); at != std::string::npos) path.replace(at, 7, flags.type);
    uint64_t n_bytes = 0;
    for (const PlannedTensor& each : conversion.plan()) n_bytes += each.bytes();
    std::printf("%s adapter of %zu weights, alpha %g, %s as %s\n", std::string(conversion.architecture()).c_str(),
                conversion.plan().size() / 2, conversion.alpha(), human_bytes(n_bytes).c_str(), type.c_str());
    if (flags.dry_run) return 0;
    ThreadPool pool(flags.n_threads > 0 ? flags.n_threads : usable_cores());
    conversion.write(path, pool);
    std::printf("%s written\n", path.c_str());
    return 0;
}

Command setup(CLI::App& app) {
    const auto flags = std::make_shared<ConvertLoraFlags>();
    app.add_option("adapter", flags->folder, "Folder with adapter_config.json and adapter_model.safetensors (or .bin)")
        ->required()
        ->type_name("ADAPTER_DIR");
    app.add_option("--base", flags->base, "The base: a folder with its config.json, or its GGUF file (default: what the adapter names)")
        ->type_name("BASE");
    app.add_option("--outfile", flags->out, "File to write (default: in the adapter's folder)")->type_name("FILE");
    app.add_option("--outtype", flags->type, "f32, f16 or bf16")->capture_default_str()->type_name("TYPE");
    app.add_option("--model-name", flags->name, "general.name (default: the folder's)")->type_name("NAME");
    app.add_flag("--dry-run", flags->dry_run, "Check everything and write nothing");
    app.add_option("-t,--threads", flags->n_threads, "Threads (0: the physical cores)")->check(CLI::Range(0, 1024));
    app.add_flag("--no-lazy,--verbose", flags->ignored, "Accepted: memory is bounded without it")->group("");
    return [flags] { return convert_lora(*flags); };
}

}  // namespace

const Subcommand convert_lora_command{"convert-lora", "Make a GGUF adapter of a LoRA adapter that PEFT has saved", setup};

}  // namespace quern
