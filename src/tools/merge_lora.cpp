// quern merge-lora: a model with adapters worked into its weights.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/cpu_features.h"
#include "base/error.h"
#include "convert/merge_adapters.h"
#include "tools/adapter_flags.h"
#include "tools/command_line.h"
#include "tools/progress_line.h"
#include "tools/quantities.h"

namespace quern {
namespace {

struct MergeLoraFlags {
    std::vector<std::string> paths;
    std::string type;
    int n_threads = 0;
    bool dry_run = false;
};

int merge_lora(const MergeLoraFlags& flags) {
    if (flags.paths.size() < 3) throw InvalidInput("a model, at least one adapter and the file to write are needed", "adapter");
    std::optional<QuantizeType> type;
    if (!flags.type.empty() && !(type = find_quantize_type(flags.type)))
        throw InvalidInput(concat("--outtype: '", flags.type, "' is no type; quern quantize --help lists them"), "outtype");
    std::vector<AdapterToMerge> adapters;
    for (size_t i = 1; i + 1 < flags.paths.size(); ++i) {
        const AdapterSource source = parse_adapter(flags.paths[i]);
        adapters.push_back({source.path, source.scale});
    }
    const AdapterMerge merge(flags.paths.front(), adapters, type);
    uint64_t n_bytes = 0, n_done = 0;
    for (const PlannedTensor& each : merge.plan()) n_bytes += each.bytes();
    std::printf("%zu of %zu tensors change; %s\n", merge.n_changed(), merge.plan().size(), human_bytes(n_bytes).c_str());
    if (flags.dry_run) return 0;
    std::fflush(stdout);
    ThreadPool pool(flags.n_threads > 0 ? flags.n_threads : usable_cores());
    ProgressLine line;
    merge.write(flags.paths.back(), pool, [&](const PlannedTensor& done, uint64_t, uint64_t n_written) {
        n_done += n_written;
        line.show(static_cast<double>(n_done) / static_cast<double>(std::max<uint64_t>(1, n_bytes)), std::string(done.source->name));
    });
    std::printf("%s written in %.1f s\n", flags.paths.back().c_str(), line.seconds());
    return 0;
}

Command setup(CLI::App& app) {
    const auto flags = std::make_shared<MergeLoraFlags>();
    app.add_option("files", flags->paths, "The model, its adapters (GGUF; at a scale other than 1 if one is given), and the file to write")
        ->required()
        ->type_name("MODEL ADAPTER[=SCALE]... OUT");
    app.add_option("--outtype", flags->type, "Type of the result, as for quern quantize (default: each tensor keeps its own)")
        ->type_name("TYPE");
    app.add_flag("--dry-run", flags->dry_run, "Check everything and write nothing");
    app.add_option("-t,--threads", flags->n_threads, "Threads (0: the physical cores)")->check(CLI::Range(0, 1024));
    return [flags] { return merge_lora(*flags); };
}

}  // namespace

const Subcommand merge_lora_command{"merge-lora", "Work LoRA adapters into a model's weights", setup};

}  // namespace quern
