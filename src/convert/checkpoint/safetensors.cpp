#include "convert/checkpoint/safetensors.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "convert/checkpoint/json_file.h"
#include "gguf/cursor.h"

namespace quern {
namespace {

constexpr uint64_t most_header_bytes = 100'000'000;  // the format's own limit

struct TypeName {
    std::string_view name;
    uint64_t bytes;
    std::optional<DType> dtype;
};
constexpr TypeName type_names[] = {
    {"F32", 4, DType::f32}, {"F16", 2, DType::f16}, {"BF16", 2, DType::bf16}, {"F64", 8, {}},     {"F8_E4M3", 1, {}}, {"F8_E5M2", 1, {}},
    {"I64", 8, {}},         {"I32", 4, {}},         {"I16", 2, {}},           {"I8", 1, {}},      {"U64", 8, {}},     {"U32", 4, {}},
    {"U16", 2, {}},         {"U8", 1, {}},          {"BOOL", 1, {}},          {"F8_E8M0", 1, {}},
};

class Reader {
  public:
    Reader(std::span<const std::byte> data, std::string_view path) : data_(data), path_(path) {}

    [[noreturn]] void fail(std::string_view name, std::string_view what) const {
        throw ModelError(concat(printable(path_), ": tensor ", quoted(name), " ", what));
    }

    SourceTensor read(const std::string& name, const nlohmann::json& entry) const {
        if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets"))
            fail(name, "lacks dtype, shape or data_offsets");
        const nlohmann::json &type = entry["dtype"], &shape = entry["shape"], &offsets = entry["data_offsets"];
        if (!type.is_string()) fail(name, "has a dtype that is no text");
        SourceTensor tensor{.name = name, .type = type.get<std::string>()};
        const auto* known =
            std::find_if(std::begin(type_names), std::end(type_names), [&](const TypeName& t) { return t.name == tensor.type; });
        if (known == std::end(type_names)) fail(name, concat("has the dtype ", quoted(tensor.type), ", which is not known"));
        tensor.dtype = known->dtype;
        if (!shape.is_array() || shape.size() > 16) fail(name, "has a shape that is no list of sizes");
        for (const nlohmann::json& size : shape) {
            if (!size.is_number_unsigned() || size.get<uint64_t>() >> 62) fail(name, "has a shape that is no list of sizes");
            tensor.sizes.push_back(static_cast<int64_t>(size.get<uint64_t>()));
        }
        if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
            fail(name, "has data_offsets that are no two numbers");
        const auto begin = offsets[0].get<uint64_t>(), end = offsets[1].get<uint64_t>();
        if (begin > end || end > data_.size())
            fail(name, concat("claims bytes ", begin, " to ", end, " of the ", data_.size(), " that there are: is the file cut off?"));
        const auto bytes = dense_bytes(tensor.sizes, known->bytes);
        if (!bytes || *bytes != end - begin)
            fail(name, concat("is ", tensor.type, " ", sizes_text(tensor.sizes), ", but has ", end - begin, " bytes"));
        tensor.bytes = data_.subspan(begin, end - begin);
        return tensor;
    }

    void check_overlaps(std::span<const SourceTensor> tensors) const {
        std::vector<const SourceTensor*> in_order;
        for (const SourceTensor& tensor : tensors)
            if (!tensor.bytes.empty()) in_order.push_back(&tensor);
        std::sort(in_order.begin(), in_order.end(), [](const auto* a, const auto* b) { return a->bytes.data() < b->bytes.data(); });
        for (size_t i = 1; i < in_order.size(); ++i)
            if (in_order[i - 1]->bytes.data() + in_order[i - 1]->bytes.size() > in_order[i]->bytes.data())
                fail(in_order[i]->name, concat("overlaps ", quoted(in_order[i - 1]->name)));
    }

  private:
    std::span<const std::byte> data_;
    std::string_view path_;
};

}  // namespace

std::vector<SourceTensor> read_safetensors(std::span<const std::byte> file, std::string_view path) {
    Cursor cursor(file, path);
    const auto n = cursor.read<uint64_t>("the header's length");
    if (n > most_header_bytes || n > cursor.bytes_left())
        throw ModelError(concat(printable(path), ": the header claims ", n, " bytes, but ", cursor.bytes_left(),
                                " are left (and 100 MB are the most): this is no whole safetensors file"));
    const std::byte* const text = cursor.skip(n, "the header");
    const nlohmann::json header = parse_json({reinterpret_cast<const char*>(text), static_cast<size_t>(n)}, path);
    if (!header.is_object()) throw ModelError(concat(printable(path), ": the header is no object"));
    const Reader reader(file.subspan(cursor.offset()), path);
    std::vector<SourceTensor> tensors;
    for (const auto& [name, entry] : header.items())
        if (name != "__metadata__") tensors.push_back(reader.read(name, entry));
    reader.check_overlaps(tensors);
    return tensors;
}

}  // namespace quern
