#include "gguf/gguf_writer.h"

#include <bit>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/printable.h"
#include "gguf/cursor.h"
#include "gguf/header.h"

namespace quern {
namespace {

// Far above any disk, and far enough below 2^64 that headers and padding cannot overflow it.
constexpr uint64_t max_data_bytes = uint64_t{1} << 62;

template <typename T>
void append_number(std::string& out, T value) {
    static_assert(std::is_arithmetic_v<T>);
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append_string(std::string& out, std::string_view text) {
    append_number(out, uint64_t{text.size()});
    out += text;
}

void append_array(std::string& out, const MetadataArray& array) {
    append_number(out, static_cast<uint32_t>(array.element_type));
    append_number(out, array.count);
    if (array.element_type == MetadataType::string) {
        QUERN_CHECK(array.strings.size() == array.count);
        for (const std::string_view text : array.strings) append_string(out, text);
    } else if (array.element_type == MetadataType::array) {
        QUERN_CHECK(array.arrays.size() == array.count);
        for (const MetadataArray& inner : array.arrays) append_array(out, inner);
    } else if (array.count > 0) {
        out.append(reinterpret_cast<const char*>(array.numbers), array.count * number_bytes(array.element_type));
    }
}

std::string encode(const MetadataValue& value) {
    std::string out;
    append_number(out, static_cast<uint32_t>(type_of(value)));
    std::visit(
        [&](const auto& v) {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<T, std::string_view>) {
                append_string(out, v);
            } else if constexpr (std::is_same_v<T, MetadataArray>) {
                append_array(out, v);
            } else {
                append_number(out, v);
            }
        },
        value);
    return out;
}

void check_name(std::string_view kind, std::string_view name) {
    if (name.empty()) throw ModelError(concat("a ", kind, " has an empty name"));
    if (name.size() > max_name_bytes)
        throw ModelError(concat(kind, " ", quoted(name), " has a name of more than ", max_name_bytes, " bytes"));
    if (!is_utf8(name)) throw ModelError(concat(kind, " ", quoted(name), " has a name that is not UTF-8"));
}

/// The bytes of a tensor, or nothing if its shape does not suit the type or is too large.
std::optional<uint64_t> tensor_bytes(DType dtype, const Shape& shape) {
    const DTypeInfo& info = dtype_info(dtype);
    int64_t n_values = 1;
    for (int axis = 0; axis < shape.rank(); ++axis)
        if (shape[axis] < 1 || __builtin_mul_overflow(n_values, shape[axis], &n_values)) return std::nullopt;
    uint64_t bytes = 0;
    if (shape.rank() < 1 || shape.n_cols() % info.block_size != 0) return std::nullopt;
    if (__builtin_mul_overflow(static_cast<uint64_t>(n_values) / info.block_size, uint64_t{info.block_bytes}, &bytes)) return std::nullopt;
    return bytes;
}

template <typename T>
MetadataArray array_of_numbers(MetadataType type, std::span<const T> values) {
    return {type, values.size(), std::as_bytes(values).data(), {}, {}};
}

}  // namespace

void GgufWriter::put(std::string_view key, std::string value) {
    QUERN_CHECK(!file_);
    check_name("key", key);
    const auto [found, is_new] = key_index_.emplace(std::string(key), keys_.size());
    if (is_new) keys_.push_back({std::string(key), {}});
    keys_[found->second].value = std::move(value);
}

void GgufWriter::set(std::string_view key, const MetadataValue& value) {
    if (key == "general.alignment") {
        const uint32_t* alignment = std::get_if<uint32_t>(&value);
        if (!alignment || *alignment < min_alignment || !std::has_single_bit(*alignment))
            throw ModelError("general.alignment must be a u32 that is a power of two of at least 8");
        alignment_ = *alignment;
    }
    put(key, encode(value));
}

void GgufWriter::set_strings(std::string_view key, std::span<const std::string> values) {
    set_strings(key, std::vector<std::string_view>(values.begin(), values.end()));
}

void GgufWriter::set_strings(std::string_view key, std::span<const std::string_view> values) {
    set(key, MetadataArray{MetadataType::string, values.size(), nullptr, {values.begin(), values.end()}, {}});
}

void GgufWriter::set_integers(std::string_view key, std::span<const int32_t> values) {
    set(key, array_of_numbers(MetadataType::i32, values));
}

void GgufWriter::set_reals(std::string_view key, std::span<const float> values) { set(key, array_of_numbers(MetadataType::f32, values)); }

void GgufWriter::set_all(const Metadata& metadata) {
    for (const Metadata::Entry& entry : metadata.entries())
        if (!entry.key.starts_with("split.")) set(entry.key, entry.value);
}

void GgufWriter::remove(std::string_view key) {
    QUERN_CHECK(!file_);
    if (!key_index_.contains(key)) return;
    if (key == "general.alignment") alignment_ = default_alignment;
    std::erase_if(keys_, [&](const Key& k) { return k.name == key; });
    key_index_.clear();
    for (size_t i = 0; i < keys_.size(); ++i) key_index_.emplace(keys_[i].name, i);
}

void GgufWriter::add_tensor(std::string_view name, DType dtype, const Shape& shape) {
    QUERN_CHECK(!file_);
    check_name("tensor", name);
    const std::optional<uint64_t> bytes = tensor_bytes(dtype, shape);
    if (!bytes || *bytes > max_data_bytes - data_bytes_)
        throw ModelError(concat("tensor ", quoted(name), " of shape ", to_string(shape), " cannot be ", dtype_name(dtype)));
    if (!tensor_index_.emplace(std::string(name), tensors_.size()).second)
        throw ModelError(concat("tensor ", quoted(name), " is to be written twice"));
    tensors_.push_back({std::string(name), dtype, shape, *bytes});
    data_bytes_ += *bytes;
}

std::string GgufWriter::header() const {
    std::string out = "GGUF";
    append_number(out, uint32_t{3});
    append_number(out, uint64_t{tensors_.size()});
    append_number(out, uint64_t{keys_.size()});
    for (const Key& key : keys_) {
        append_string(out, key.name);
        out += key.value;
    }
    uint64_t offset = 0;
    for (const Tensor& tensor : tensors_) {
        append_string(out, tensor.name);
        append_number(out, static_cast<uint32_t>(tensor.shape.rank()));
        for (int axis = tensor.shape.rank() - 1; axis >= 0; --axis) append_number(out, tensor.shape[axis]);
        append_number(out, static_cast<uint32_t>(tensor.dtype));
        append_number(out, offset);
        offset = align_up(offset + tensor.bytes, alignment_);
    }
    if (!tensors_.empty()) out.resize(align_up(out.size(), alignment_), '\0');
    return out;
}

uint64_t GgufWriter::file_bytes() const {
    uint64_t bytes = header().size();
    for (const Tensor& tensor : tensors_) bytes = align_up(bytes + tensor.bytes, alignment_);
    return bytes;
}

void GgufWriter::open(const std::string& path) {
    QUERN_CHECK(!file_);
    auto file = std::make_unique<OutputFile>(path);
    file->reserve(file_bytes());
    file->write(header());
    file_ = std::move(file);
}

void GgufWriter::write(std::span<const std::byte> bytes) {
    QUERN_CHECK(file_ && current_ < tensors_.size() && bytes.size() <= tensors_[current_].bytes - written_);
    file_->write(bytes);
    written_ += bytes.size();
    if (written_ < tensors_[current_].bytes) return;
    file_->write_zeros(align_up(written_, alignment_) - written_);
    ++current_;
    written_ = 0;
}

void GgufWriter::finish() {
    QUERN_CHECK(file_ && current_ == tensors_.size());
    file_->commit();
    file_.reset();
}

}  // namespace quern
