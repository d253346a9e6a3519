#include "convert/split_files.h"

#include <cstdio>
#include <filesystem>
#include <limits>

#include "base/error.h"

namespace quern {
namespace {

constexpr int most_parts = std::numeric_limits<uint16_t>::max();

void write_tensors(GgufWriter& writer, std::span<const GgufTensor> tensors, const std::string& path) {
    for (const GgufTensor& tensor : tensors) writer.add_tensor(tensor.name, tensor.view.dtype, tensor.view.shape);
    writer.open(path);
    for (const GgufTensor& tensor : tensors) writer.write({tensor.view.data, static_cast<size_t>(tensor.view.bytes())});
    writer.finish();
}

}  // namespace

std::string split_part_path(const std::string& prefix, int number, int count) {
    char ending[32];
    std::snprintf(ending, sizeof ending, "-%05d-of-%05d.gguf", number, count);
    return prefix + ending;
}

std::optional<std::string> split_prefix(const std::string& path) {
    constexpr std::string_view ending = "-00000-of-00000.gguf";  // each 0 stands for any digit
    if (path.size() < ending.size()) return std::nullopt;
    const size_t begin = path.size() - ending.size();
    for (size_t i = 0; i < ending.size(); ++i) {
        const char c = path[begin + i];
        if (ending[i] == '0' ? c < '0' || c > '9' : c != ending[i]) return std::nullopt;
    }
    return path.substr(0, begin);
}

void set_split_keys(GgufWriter& writer, int number, int count, size_t n_tensors) {
    writer.set("split.no", static_cast<uint16_t>(number - 1));
    writer.set("split.count", static_cast<uint16_t>(count));
    writer.set("split.tensors.count", static_cast<int32_t>(n_tensors));
}

std::vector<size_t> cut_into_parts(std::span<const GgufTensor> tensors, const SplitLimits& limits) {
    std::vector<size_t> parts;
    if (limits.first_without_tensors) parts.push_back(0);
    size_t n = 0;
    uint64_t bytes = 0;
    for (const GgufTensor& tensor : tensors) {
        const uint64_t more = tensor.view.bytes();
        const bool full =
            (limits.max_tensors > 0 && n == limits.max_tensors) || (limits.max_bytes > 0 && n > 0 && bytes + more > limits.max_bytes);
        if (full) {
            parts.push_back(n);
            n = bytes = 0;
        }
        ++n;
        bytes += more;
    }
    if (n > 0 || parts.empty()) parts.push_back(n);
    if (parts.size() > static_cast<size_t>(most_parts))
        throw InvalidInput(concat("that would be ", parts.size(), " files; ", most_parts, " are the most"));
    return parts;
}

void refuse_own_parts(const GgufFile& source, std::span<const std::string> targets) {
    for (const std::string& part : source.part_paths())
        for (const std::string& target : targets) {
            std::error_code none;
            if (std::filesystem::equivalent(part, target, none))
                throw InvalidInput(concat(target, " is a file to read; give another name to write"));
        }
}

PartFiles::~PartFiles() {
    for (const std::string& path : paths_) {
        std::error_code ignored;
        std::filesystem::remove(path, ignored);
    }
}

std::vector<std::string> split_model(const GgufFile& file, const std::string& prefix, const SplitLimits& limits) {
    const std::vector<size_t> sizes = cut_into_parts(file.tensors(), limits);
    const auto count = static_cast<int>(sizes.size());
    std::vector<std::string> paths;
    for (int i = 0; i < count; ++i) paths.push_back(split_part_path(prefix, i + 1, count));
    refuse_own_parts(file, paths);
    PartFiles written;
    std::span<const GgufTensor> left = file.tensors();
    for (int i = 0; i < count; ++i) {
        GgufWriter writer;
        if (i == 0) writer.set_all(file.metadata());
        set_split_keys(writer, i + 1, count, file.tensors().size());
        const std::string& path = paths[static_cast<size_t>(i)];
        write_tensors(writer, left.first(sizes[static_cast<size_t>(i)]), path);
        written.add(path);
        left = left.subspan(sizes[static_cast<size_t>(i)]);
    }
    return written.keep();
}

void merge_model(const GgufFile& file, const std::string& path) {
    refuse_own_parts(file, {&path, 1});
    GgufWriter writer;
    writer.set_all(file.metadata());
    write_tensors(writer, file.tensors(), path);
}

}  // namespace quern
