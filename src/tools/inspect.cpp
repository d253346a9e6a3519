// `quern inspect`: what is in a GGUF file.
#include <cstdio>
#include <memory>
#include <string>

#include "base/error.h"
#include "gguf/gguf_file.h"
#include "tools/command_line.h"
#include "tools/inspect_report.h"

namespace quern {
namespace {

struct InspectOptions {
    std::string file;
    bool json = false;
    bool tensors = false;
};

int inspect(const InspectOptions& options) {
    const std::unique_ptr<const GgufFile> file = GgufFile::open(options.file);
    const std::string report = options.json ? inspect_json(*file) : inspect_text(*file, options.tensors);
    const bool written = std::fwrite(report.data(), 1, report.size(), stdout) == report.size() && std::fflush(stdout) == 0;
    if (!written) throw DeviceError("cannot write the report to standard output");
    return 0;
}

Command setup(CLI::App& app) {
    const auto options = std::make_shared<InspectOptions>();
    app.add_option("file", options->file, "GGUF file, or the first part of a split one")->required();
    app.add_flag("--json", options->json, "Everything, tensors included, as one JSON object");
    app.add_flag("--tensors", options->tensors, "List every tensor");
    return [options] { return inspect(*options); };
}

}  // namespace

const Subcommand inspect_command{"inspect", "Show what is in a GGUF file", setup};

}  // namespace quern
