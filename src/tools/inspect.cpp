// `quern inspect`: what is in a GGUF file.
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "engine/engine.h"
#include "gguf/gguf_file.h"
#include "tools/command_line.h"
#include "tools/inspect_report.h"

namespace quern {
namespace {

struct InspectOptions {
    std::string file;
    bool json = false;
    bool tensors = false;
    int64_t n_ctx = -1;  // -1: nobody asked for the memory
};

int inspect(const InspectOptions& options) {
    const std::unique_ptr<const GgufFile> file = GgufFile::open(options.file);
    std::optional<MemoryNeed> memory;
    if (options.n_ctx >= 0) memory = memory_need({.model_path = options.file, .n_ctx = options.n_ctx});
    const std::string report = options.json ? inspect_json(*file, memory) : inspect_text(*file, memory, options.tensors);
    const bool written = std::fwrite(report.data(), 1, report.size(), stdout) == report.size() && std::fflush(stdout) == 0;
    if (!written) throw DeviceError("cannot write the report to standard output");
    return 0;
}

Command setup(CLI::App& app) {
    const auto options = std::make_shared<InspectOptions>();
    app.add_option("file", options->file, "GGUF file, or the first part of a split one")->required();
    app.add_option("-c,--n-ctx,--ctx-size", options->n_ctx,
                   "Also the memory that a window of so many tokens takes (0: the model's own window)")
        ->check(CLI::Range(0, 1 << 30));
    app.add_flag("--json", options->json, "Everything, tensors included, as one JSON object");
    app.add_flag("--tensors", options->tensors, "List every tensor");
    return [options] { return inspect(*options); };
}

}  // namespace

const Subcommand inspect_command{"inspect", "Show what is in a GGUF file", setup};

}  // namespace quern
