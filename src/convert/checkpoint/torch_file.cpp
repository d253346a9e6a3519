#include "convert/checkpoint/torch_file.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "convert/checkpoint/unpickler.h"
#include "convert/checkpoint/zip.h"

namespace quern {
namespace {

struct StorageType {
    std::string_view name;
    uint64_t bytes;
    std::optional<DType> dtype;
};
constexpr StorageType storage_types[] = {
    {"FloatStorage", 4, DType::f32}, {"HalfStorage", 2, DType::f16}, {"BFloat16Storage", 2, DType::bf16},
    {"DoubleStorage", 8, {}},        {"LongStorage", 8, {}},         {"IntStorage", 4, {}},
    {"ShortStorage", 2, {}},         {"CharStorage", 1, {}},         {"ByteStorage", 1, {}},
    {"BoolStorage", 1, {}},
};

bool is_dense(const PickledTensor& tensor) {
    int64_t expected = 1;
    for (size_t axis = tensor.sizes.size(); axis-- > 0;) {
        if (tensor.sizes[axis] == 0) return true;
        if (tensor.sizes[axis] != 1 && tensor.strides[axis] != expected) return false;
        if (__builtin_mul_overflow(expected, tensor.sizes[axis], &expected)) return false;
    }
    return true;
}

SourceTensor find_data(const PickledTensor& tensor, const ZipEntries& entries, std::string_view root, std::string_view path) {
    const auto fail = [&](std::string_view what) {
        throw ModelError(concat(printable(path), ": tensor ", quoted(tensor.name), " ", what));
    };
    const auto* type = std::find_if(std::begin(storage_types), std::end(storage_types),
                                    [&](const StorageType& t) { return t.name == tensor.storage_type; });
    QUERN_CHECK(type != std::end(storage_types));  // the unpickler lets no other through
    const auto entry = entries.find(concat(root, "data/", tensor.storage_key));
    if (entry == entries.end()) fail(concat("has its values in entry ", quoted(tensor.storage_key), ", which is missing"));
    const auto bytes = dense_bytes(tensor.sizes, type->bytes);
    if (!bytes) fail(concat("claims the impossible shape ", sizes_text(tensor.sizes)));
    if (!is_dense(tensor))
        fail(concat("of shape ", sizes_text(tensor.sizes), " is not stored row by row (strides ", sizes_text(tensor.strides), ")"));
    const uint64_t available = entry->second.size();
    if (tensor.offset < 0 || static_cast<uint64_t>(tensor.offset) > available / type->bytes ||
        *bytes > available - static_cast<uint64_t>(tensor.offset) * type->bytes)
        fail(concat("of shape ", sizes_text(tensor.sizes), " reaches beyond the ", available, " bytes of its storage"));
    return {.name = tensor.name,
            .type = tensor.storage_type,
            .dtype = type->dtype,
            .sizes = tensor.sizes,
            .bytes = entry->second.subspan(static_cast<size_t>(tensor.offset) * type->bytes, static_cast<size_t>(*bytes))};
}

}  // namespace

std::vector<SourceTensor> read_torch_file(std::span<const std::byte> file, std::string_view path) {
    if (file.size() >= 2 && file[0] == std::byte{0x80})
        throw ModelError(
            concat(printable(path), ": is in the format that PyTorch wrote before version 1.6; load it there and save it again"));
    const ZipEntries entries = read_zip(file, path);
    const auto pickle = std::find_if(entries.begin(), entries.end(), [](const auto& each) {
        return each.first == "data.pkl" || (each.first.ends_with("/data.pkl") && each.first.find('/') == each.first.size() - 9);
    });
    if (pickle == entries.end()) throw ModelError(concat(printable(path), ": is a zip file without data.pkl, so no PyTorch checkpoint"));
    const std::string root = pickle->first.substr(0, pickle->first.size() - std::string_view("data.pkl").size());
    if (const auto order = entries.find(root + "byteorder"); order != entries.end())
        if (std::string_view(reinterpret_cast<const char*>(order->second.data()), order->second.size()) == "big")
            throw ModelError(concat(printable(path), ": was written on a big-endian machine, which quern cannot read"));
    std::vector<SourceTensor> tensors;
    for (const PickledTensor& tensor : read_pickle(pickle->second, path)) tensors.push_back(find_data(tensor, entries, root, path));
    return tensors;
}

}  // namespace quern
