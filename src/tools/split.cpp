// quern split, quern merge: a model in several files, and back.
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "convert/split_files.h"
#include "tools/command_line.h"
#include "tools/quantities.h"

namespace quern {
namespace {

struct SplitFlags {
    std::string in, out, max_size;
    size_t max_tensors = 0;
    bool first_without_tensors = false, merge = false, split = false, dry_run = false;
};

int merge(const SplitFlags& flags) {
    const auto file = GgufFile::open(flags.in);
    std::printf("%zu files, %zu tensors -> %s\n", file->n_parts(), file->tensors().size(), flags.out.c_str());
    if (!flags.dry_run) merge_model(*file, flags.out);
    return 0;
}

int split(const SplitFlags& flags) {
    if (flags.merge) return merge(flags);
    const auto file = GgufFile::open(flags.in);
    const bool unlimited = flags.max_tensors == 0 && flags.max_size.empty();
    const SplitLimits limits{.max_tensors = unlimited ? 128 : flags.max_tensors,
                             .max_bytes = flags.max_size.empty() ? 0 : parse_bytes(flags.max_size),
                             .first_without_tensors = flags.first_without_tensors};
    const std::vector<size_t> sizes = cut_into_parts(file->tensors(), limits);
    for (size_t i = 0; i < sizes.size(); ++i)
        std::printf("%s  %zu tensors\n", split_part_path(flags.out, static_cast<int>(i + 1), static_cast<int>(sizes.size())).c_str(),
                    sizes[i]);
    if (!flags.dry_run) split_model(*file, flags.out, limits);
    return 0;
}

void add_files(CLI::App& app, SplitFlags& flags, const char* out_name, const char* about_out) {
    app.add_option("in", flags.in, "GGUF file, or the first of several")->required();
    app.add_option(out_name, flags.out, about_out)->required();
    app.add_flag("--dry-run", flags.dry_run, "Say what would be written, and write nothing");
}

Command setup_split(CLI::App& app) {
    const auto flags = std::make_shared<SplitFlags>();
    add_files(app, *flags, "out-prefix", "What comes before -00001-of-0000N.gguf; with --merge, the file to write");
    app.add_option("--split-max-tensors", flags->max_tensors, "Tensors in a file (128 where nothing else is said)")
        ->check(CLI::Range(1, 1 << 30));
    app.add_option("--split-max-size", flags->max_size, "Bytes of tensors in a file, such as 2G")->type_name("SIZE");
    app.add_flag("--no-tensor-first-split", flags->first_without_tensors, "The first file has the keys alone");
    app.add_flag("--split", flags->split, "Split: what happens anyway");
    app.add_flag("--merge", flags->merge, "Merge, as quern merge does");
    return [flags] { return split(*flags); };
}

Command setup_merge(CLI::App& app) {
    const auto flags = std::make_shared<SplitFlags>();
    add_files(app, *flags, "out", "The file to write");
    return [flags] { return merge(*flags); };
}

}  // namespace

const Subcommand split_command{"split", "Write a model as several files", setup_split};
const Subcommand merge_command{"merge", "Write a model in several files as one", setup_merge};

}  // namespace quern
