// Splits: part i of n is named PREFIX-<i, 5 digits>-of-<n, 5 digits>.gguf, counted from 1, and says split.no = i - 1, split.count = n and
// split.tensors.count = tensors of all parts. The keys of the model are in part 1. Source: llama.cpp's gguf-split.
#include "gguf/gguf_file.h"

#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/printable.h"
#include "gguf/header.h"

namespace quern {
namespace {

constexpr int64_t max_parts = 99999;  // what five digits hold

struct Split {
    int64_t number = 0;
    int64_t count = 1;
    std::optional<int64_t> n_tensors;
};

[[noreturn]] void fail(const std::string& path, std::string_view what) { throw ModelError(concat(printable(path), ": ", what)); }

/// "-00001-of-00003.gguf"
std::string part_suffix(int64_t number, int64_t count) {
    char text[64];
    std::snprintf(text, sizeof(text), "-%05lld-of-%05lld.gguf", static_cast<long long>(number + 1), static_cast<long long>(count));
    return text;
}

/// What the file says of its place in a split; a file that says nothing is the only part.
Split split_of(const Metadata& metadata, const std::string& path) {
    Split split;
    split.number = metadata.integer("split.no").value_or(0);
    split.count = metadata.integer("split.count").value_or(1);
    split.n_tensors = metadata.integer("split.tensors.count");
    if (split.count == 0) split.count = 1;  // what some writers say of a file that is not split
    if (split.count < 1 || split.count > max_parts) fail(path, concat("split.count is ", split.count, ", not 1 to ", max_parts));
    if (split.number < 0 || split.number >= split.count)
        fail(path, concat("split.no is ", split.number, ", but the model has ", split.count, split.count == 1 ? " part" : " parts"));
    return split;
}

/// The part must say the same of the whole as the first one does.
void check_part(const GgufHeader& part, const std::string& path, int64_t number, const GgufFile& whole) {
    const Split first = split_of(whole.metadata(), whole.path());
    const Split split = split_of(part.metadata, path);
    if (split.count != first.count)
        fail(path, concat("says that the model has ", split.count, " parts, but the first part says ", first.count));
    if (split.number != number)
        fail(path,
             concat("is part ", split.number + 1, " by its contents, but part ", number + 1, " by its name: are the files mixed up?"));
    if (split.n_tensors && first.n_tensors && *split.n_tensors != *first.n_tensors)
        fail(path, concat("says that the model has ", *split.n_tensors, " tensors, but the first part says ", *first.n_tensors));
    for (const std::string_view key : {"general.architecture", "general.name"}) {
        const auto a = part.metadata.string(key), b = whole.metadata().string(key);
        if (a && b && *a != *b)
            fail(path, concat(key, " is ", quoted(*a), ", but ", quoted(*b), " in the first part: are the files mixed up?"));
    }
}

}  // namespace

std::unique_ptr<GgufFile> GgufFile::open(const std::string& path) {
    std::unique_ptr<GgufFile> file(new GgufFile());
    file->path_ = path;
    file->parts_.emplace_back(path);
    GgufHeader header = parse_header(file->parts_.front().bytes(), path);
    file->version_ = header.version;
    file->metadata_ = std::move(header.metadata);
    file->add_part(std::move(header));
    file->open_other_parts();
    return file;
}

std::unique_ptr<const GgufFile> GgufFile::describe(const std::string& path, std::string header, std::vector<GgufTensor> tensors) {
    std::unique_ptr<GgufFile> file(new GgufFile());
    file->path_ = path;
    file->described_ = std::make_unique<const std::string>(std::move(header));
    file->metadata_ = parse_header(std::as_bytes(std::span(*file->described_)), file->path_).metadata;
    file->tensors_ = std::move(tensors);
    for (size_t i = 0; i < file->tensors_.size(); ++i) file->index_.emplace(file->tensors_[i].name, i);
    return file;
}

/// Takes over the tensors of the part opened last.
void GgufFile::add_part(GgufHeader header) {
    const std::string& path = parts_.back().path();
    for (GgufTensor& tensor : header.tensors) {
        tensor.part = static_cast<uint32_t>(parts_.size() - 1);
        const auto [other, is_new] = index_.emplace(tensor.name, tensors_.size());
        if (!is_new)
            fail(path, concat("tensor ", quoted(tensor.name), " is also in part ", tensors_[other->second].part + 1,
                              ": are the files mixed up?"));
        tensors_.push_back(tensor);
    }
}

void GgufFile::open_other_parts() {
    const Split split = split_of(metadata_, path());
    if (split.number > 0) {
        const std::string suffix = part_suffix(split.number, split.count);
        std::string first = "the one whose name ends in " + part_suffix(0, split.count);
        if (path().ends_with(suffix)) first = path().substr(0, path().size() - suffix.size()) + part_suffix(0, split.count);
        fail(path(), concat("is part ", split.number + 1, " of ", split.count, ": open part 1, ", printable(first)));
    }
    const std::string suffix = part_suffix(0, split.count);
    if (split.count > 1 && !path().ends_with(suffix))
        fail(path(), concat("is part 1 of ", split.count, ", so its name must end in ", suffix, " for the others to be found"));
    const std::string prefix = split.count > 1 ? path().substr(0, path().size() - suffix.size()) : path();
    for (int64_t number = 1; number < split.count; ++number) {
        const std::string part_path = prefix + part_suffix(number, split.count);
        parts_.emplace_back(part_path);
        GgufHeader header = parse_header(parts_.back().bytes(), part_path);
        check_part(header, part_path, number, *this);
        add_part(std::move(header));
    }
    if (split.n_tensors && *split.n_tensors != static_cast<int64_t>(tensors_.size()))
        fail(path(), concat("split.tensors.count is ", *split.n_tensors, ", but there are ", tensors_.size(), " tensors"));
}

void GgufFile::override_key(const MetadataOverride& override) {
    const std::string& key = override.key;
    const auto refuse = [&](std::string_view what) {
        throw InvalidInput(concat(printable(path_), ": key ", quoted(key), " cannot be overridden: ", what), "kv_overrides");
    };
    if (key.starts_with("split.") || key == "general.alignment") refuse("it says how the file is laid out");
    const MetadataValue* value = metadata_.find(key);
    if (!value) log_warning(concat(path_, " has no key ", key, ": it is added"));
    const MetadataType type = value ? type_of(*value) : MetadataType::array;
    const bool is_right = std::visit(
        [&](const auto& each) {
            using T = std::decay_t<decltype(each)>;
            if constexpr (std::is_same_v<T, std::string>) return type == MetadataType::string;
            if constexpr (std::is_same_v<T, bool>) return type == MetadataType::boolean;
            if constexpr (std::is_same_v<T, int64_t>) return is_integer(type);
            return type == MetadataType::f32 || type == MetadataType::f64;
        },
        override.value);
    if (value && !is_right) refuse(concat("the file has it as ", to_string(type)));
    set_key(override);
}

void GgufFile::set_key(const MetadataOverride& override) {
    const std::string_view key = metadata_.has(override.key) ? std::string_view(override.key) : overrides_.emplace_back(override.key);
    if (const auto* text = std::get_if<std::string>(&override.value))
        metadata_.set(key, std::string_view(overrides_.emplace_back(*text)));
    else if (const auto* flag = std::get_if<bool>(&override.value))
        metadata_.set(key, *flag);
    else if (const auto* integer = std::get_if<int64_t>(&override.value))
        metadata_.set(key, *integer);
    else
        metadata_.set(key, std::get<double>(override.value));
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
}

std::vector<std::string> GgufFile::part_paths() const {
    std::vector<std::string> paths;
    for (const MappedFile& part : parts_) paths.push_back(part.path());
    return paths;
}

std::string GgufFile::damage() const {
    for (const MappedFile& part : parts_)
        if (std::string damage = part.damage(); !damage.empty()) return damage;
    return {};
}

void GgufFile::lock_in_memory() const {
    for (const MappedFile& part : parts_) {
        if (part.lock_in_memory()) continue;
        log_warning(concat("the system does not let ", part.path(), " be kept in memory: raise the limit of locked memory (ulimit -l)"));
        return;
    }
}

uint64_t GgufFile::file_bytes() const noexcept {
    uint64_t bytes = 0;
    for (const MappedFile& part : parts_) bytes += part.bytes().size();
    return bytes;
}

}  // namespace quern
