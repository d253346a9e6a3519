#include "convert/checkpoint/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "convert/checkpoint/json_file.h"
#include "convert/checkpoint/safetensors.h"
#include "convert/checkpoint/torch_file.h"

namespace quern {
namespace {

namespace fs = std::filesystem;

bool exists(const std::string& path) {
    std::error_code error;
    return fs::exists(path, error);
}

CheckpointConfig read_config(const std::string& folder) {
    const std::string path = folder + "/config.json";
    std::error_code error;
    if (!fs::is_directory(folder, error))
        throw ModelError(concat(printable(folder), ": is no folder; give the one that holds config.json and the weights"));
    if (!exists(path)) throw ModelError(concat(printable(folder), ": holds no config.json, so it is no Hugging Face checkpoint"));
    const nlohmann::json json = read_json_file(path);
    if (!json.is_object()) throw ModelError(concat(printable(path), ": is no JSON object"));
    return {json, path};
}

}  // namespace

std::unique_ptr<const Checkpoint> Checkpoint::open(const std::string& folder, bool with_weights) {
    std::string plain = folder;
    while (plain.size() > 1 && plain.ends_with('/')) plain.pop_back();
    std::unique_ptr<Checkpoint> checkpoint(new Checkpoint(read_config(plain)));
    checkpoint->folder_ = plain;
    if (with_weights) checkpoint->open_weights();
    return checkpoint;
}

void Checkpoint::open_weights() {
    for (const char* stem : {"model.safetensors", "pytorch_model.bin"}) {
        if (exists(folder_ + "/" + stem + ".index.json")) return open_index(stem + std::string(".index.json"));
        if (exists(folder_ + "/" + stem)) return add_file(stem);
    }
    // Parts without an index: model-00001-of-00002.safetensors and the like. consolidated.* is another naming of the same weights.
    std::set<std::string> parts;
    std::error_code error;
    for (const auto& each : fs::directory_iterator(folder_, error)) {
        const std::string name = each.path().filename().string();
        if (name.starts_with("model-") && name.ends_with(".safetensors")) parts.insert(name);
    }
    if (parts.empty())
        throw ModelError(
            concat(printable(folder_), ": holds no weights: neither model.safetensors nor pytorch_model.bin, nor an index of parts"));
    for (const std::string& part : parts) add_file(part);
}

void Checkpoint::open_index(const std::string& index) {
    const std::string path = folder_ + "/" + index;
    const nlohmann::json json = read_json_file(path);
    if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object())
        throw ModelError(concat(printable(path), ": has no weight_map"));
    std::set<std::string> parts;
    for (const auto& [tensor, file] : json["weight_map"].items()) {
        const std::string name = file.is_string() ? file.get<std::string>() : "";
        if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos || name == "..")
            throw ModelError(
                concat(printable(path), ": tensor ", quoted(tensor), " is in ", quoted(name), ", which is no file of this folder"));
        parts.insert(name);
    }
    for (const std::string& part : parts)
        if (!exists(folder_ + "/" + part))
            throw ModelError(concat(printable(folder_), "/", printable(part), ": is missing, but ", index, " lists it"));
    for (const std::string& part : parts) add_file(part);
    for (const auto& [tensor, file] : json["weight_map"].items())
        if (!find(tensor))
            throw ModelError(concat(printable(folder_), "/", printable(file.get<std::string>()), ": lacks tensor ", quoted(tensor),
                                    ", which ", index, " lists"));
}

void Checkpoint::add_file(const std::string& name) {
    const std::string path = folder_ + "/" + name;
    files_.emplace_back(path);
    const auto bytes = files_.back().bytes();
    for (SourceTensor& tensor : name.ends_with(".safetensors") ? read_safetensors(bytes, path) : read_torch_file(bytes, path)) {
        const std::string tensor_name = tensor.name;
        if (!tensors_.emplace(tensor_name, std::move(tensor)).second)
            throw ModelError(concat(printable(path), ": tensor ", quoted(tensor_name), " is in another file, too"));
    }
}

const SourceTensor* Checkpoint::find(std::string_view name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
}

const MappedFile* Checkpoint::mapping_of(const SourceTensor& tensor) const noexcept {
    for (const MappedFile& file : files_)
        if (tensor.bytes.data() >= file.bytes().data() && tensor.bytes.data() < file.bytes().data() + file.bytes().size()) return &file;
    return nullptr;
}

const std::string& Checkpoint::file_of(const SourceTensor& tensor) const {
    const MappedFile* file = mapping_of(tensor);
    return file ? file->path() : folder_;
}

void Checkpoint::release(const SourceTensor& tensor) const noexcept {
    if (const MappedFile* file = mapping_of(tensor)) file->release(tensor.bytes);
}

}  // namespace quern
