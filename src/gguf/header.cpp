// Layout: "GGUF", u32 version, u64 n_tensors, u64 n_keys; keys (string, u32 type, value); tensors (string name, u32 n_dims, u64 dims
// innermost first, u32 type, u64 offset from the data section); padding to general.alignment; the data section.
#include "gguf/header.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/printable.h"
#include "gguf/cursor.h"

namespace quern {
namespace {

// The fewest bytes that a thing can take in a file; counts are checked against these before anything is allocated.
constexpr uint64_t min_key_bytes = 8 + 1 + 4 + 1;             // name of one letter, type, a one-byte value
constexpr uint64_t min_tensor_bytes = 8 + 1 + 4 + 8 + 4 + 8;  // name of one letter, n_dims, one dim, type, offset
constexpr uint64_t min_string_bytes = 8;
constexpr uint64_t min_array_bytes = 4 + 8;  // element type, count
constexpr int max_array_depth = 8;           // bounds the recursion; files in the wild do not nest at all

class HeaderParser {
  public:
    HeaderParser(std::span<const std::byte> file, std::string_view path) : file_(file), cursor_(file, path) {
        header_.metadata = Metadata(path);
    }
    GgufHeader parse();

  private:
    void read_magic_and_version();
    void read_key();
    std::string_view read_name(std::string_view what);
    MetadataType read_type();
    MetadataValue read_value(MetadataType type);
    MetadataArray read_array(int depth);
    void check_bools(const std::byte* bytes, uint64_t n, uint64_t at);
    void read_alignment();
    void read_tensor();
    Shape read_shape();
    DType read_dtype();
    uint64_t checked_bytes(DType dtype, const Shape& shape, uint64_t at);
    void place_tensors();
    void check_overlaps();

    std::span<const std::byte> file_;
    Cursor cursor_;
    GgufHeader header_;
    std::set<std::string_view> tensor_names_;  // ordered, because a hostile file could choose names that collide in a hash table
    std::vector<uint64_t> offset_fields_;      // where in the header each tensor's offset stands
    uint64_t alignment_field_ = 0;
};

GgufHeader HeaderParser::parse() {
    read_magic_and_version();
    const uint64_t n_tensors = cursor_.read_count("number of tensors", min_tensor_bytes);
    const uint64_t n_keys = cursor_.read_count("number of keys", min_key_bytes);
    header_.metadata.reserve(n_keys);
    for (uint64_t i = 0; i < n_keys; ++i) read_key();
    read_alignment();
    if (n_tensors > cursor_.bytes_left() / min_tensor_bytes)
        cursor_.fail(concat("number of tensors: ", n_tensors, " do not fit in the ", cursor_.bytes_left(), " bytes after the keys"), 8);
    header_.tensors.reserve(n_tensors);
    offset_fields_.reserve(n_tensors);
    for (uint64_t i = 0; i < n_tensors; ++i) read_tensor();
    place_tensors();
    check_overlaps();
    return std::move(header_);
}

void HeaderParser::read_magic_and_version() {
    const std::byte* magic = cursor_.skip(4, "the magic number");
    const std::string_view start(reinterpret_cast<const char*>(magic), 4);
    if (start == "vers") cursor_.fail("not a GGUF file but a Git LFS pointer: fetch the real file with `git lfs pull`", 0);
    if (start == "FUGG") cursor_.fail("a big-endian GGUF file, which is not supported: convert it to little-endian", 0);
    if (start != "GGUF") cursor_.fail(concat("not a GGUF file: it begins with ", quoted(start)), 0);
    const uint32_t version = cursor_.read<uint32_t>("the version");
    if (version == 1) cursor_.fail("GGUF version 1 is not supported: convert the model again (versions 2 and 3 are)", 4);
    // Only the bytes of a small number swapped look like this.
    if (version != 0 && (version & 0xffff) == 0)
        cursor_.fail("a big-endian GGUF file, which is not supported: convert it to little-endian", 4);
    if (version != 2 && version != 3) cursor_.fail(concat("GGUF version ", version, " is not known (2 and 3 are)"), 4);
    header_.version = version;
}

std::string_view HeaderParser::read_name(std::string_view what) {
    const uint64_t at = cursor_.offset();
    const std::string_view name = cursor_.read_string(what);
    if (name.empty()) cursor_.fail(concat(what, " is empty"), at);
    if (name.size() > max_name_bytes) cursor_.fail(concat(what, " has ", name.size(), " bytes, more than ", max_name_bytes), at);
    if (!is_utf8(name)) cursor_.fail(concat(what, " ", quoted(name), " is not UTF-8"), at);
    return name;
}

void HeaderParser::read_key() {
    cursor_.set_subject("", "");
    const uint64_t at = cursor_.offset();
    const std::string_view key = read_name("a key's name");
    cursor_.set_subject("key", key);
    if (header_.metadata.has(key)) cursor_.fail("stands twice in the file", at);
    const MetadataType type = read_type();
    if (key == "general.alignment") alignment_field_ = cursor_.offset();
    header_.metadata.append(key, read_value(type));
}

MetadataType HeaderParser::read_type() {
    const uint64_t at = cursor_.offset();
    const uint32_t id = cursor_.read<uint32_t>("the value type");
    if (id > static_cast<uint32_t>(MetadataType::f64)) cursor_.fail(concat("value type ", id, " is not known (0 to 12 are)"), at);
    return static_cast<MetadataType>(id);
}

MetadataValue HeaderParser::read_value(MetadataType type) {
    if (type == MetadataType::string) return cursor_.read_string("the value");
    if (type == MetadataType::array) return read_array(1);
    const uint64_t at = cursor_.offset();
    const MetadataArray single{type, 1, cursor_.skip(number_bytes(type), "the value"), {}, {}};
    if (type == MetadataType::boolean) check_bools(single.numbers, 1, at);
    return element_at(single, 0);
}

MetadataArray HeaderParser::read_array(int depth) {
    if (depth > max_array_depth) cursor_.fail(concat("arrays are nested deeper than ", max_array_depth), cursor_.offset());
    MetadataArray array;
    array.element_type = read_type();
    if (array.element_type == MetadataType::string) {
        array.count = cursor_.read_count("array of strings", min_string_bytes);
        array.strings.reserve(array.count);
        for (uint64_t i = 0; i < array.count; ++i) array.strings.push_back(cursor_.read_string("a string of the array"));
    } else if (array.element_type == MetadataType::array) {
        array.count = cursor_.read_count("array of arrays", min_array_bytes);
        array.arrays.reserve(array.count);
        for (uint64_t i = 0; i < array.count; ++i) array.arrays.push_back(read_array(depth + 1));
    } else {
        const uint64_t each = number_bytes(array.element_type);
        array.count = cursor_.read_count("array", each);
        const uint64_t at = cursor_.offset();
        array.numbers = cursor_.skip(array.count * each, "the array");
        if (array.element_type == MetadataType::boolean) check_bools(array.numbers, array.count, at);
    }
    return array;
}

void HeaderParser::check_bools(const std::byte* bytes, uint64_t n, uint64_t at) {
    for (uint64_t i = 0; i < n; ++i)
        if (std::to_integer<unsigned>(bytes[i]) > 1)
            cursor_.fail(concat("a bool is ", std::to_integer<unsigned>(bytes[i]), ", neither 0 nor 1"), at + i);
}

void HeaderParser::read_alignment() {
    if (const MetadataValue* value = header_.metadata.find("general.alignment")) {
        cursor_.set_subject("key", "general.alignment");
        if (type_of(*value) != MetadataType::u32) cursor_.fail(concat("is ", to_string(type_of(*value)), ", not u32"), alignment_field_);
        header_.alignment = std::get<uint32_t>(*value);
        if (header_.alignment < min_alignment || !std::has_single_bit(header_.alignment))
            cursor_.fail(concat(header_.alignment, " is no power of two of at least ", min_alignment), alignment_field_);
    }
    cursor_.set_subject("", "");
}

void HeaderParser::read_tensor() {
    cursor_.set_subject("", "");
    const uint64_t at = cursor_.offset();
    GgufTensor tensor;
    tensor.name = read_name("a tensor's name");
    cursor_.set_subject("tensor", tensor.name);
    if (!tensor_names_.insert(tensor.name).second) cursor_.fail("stands twice in the file", at);
    const uint64_t shape_at = cursor_.offset();
    tensor.view.shape = read_shape();
    tensor.view.dtype = read_dtype();
    checked_bytes(tensor.view.dtype, tensor.view.shape, shape_at);
    offset_fields_.push_back(cursor_.offset());
    tensor.offset = cursor_.read<uint64_t>("the offset");
    if (tensor.offset % header_.alignment != 0)
        cursor_.fail(concat("offset ", tensor.offset, " is no multiple of the alignment ", header_.alignment), offset_fields_.back());
    header_.tensors.push_back(tensor);
}

Shape HeaderParser::read_shape() {
    const uint64_t at = cursor_.offset();
    const uint32_t n_dims = cursor_.read<uint32_t>("the number of dimensions");
    if (n_dims < 1 || n_dims > Shape::max_rank) cursor_.fail(concat("has ", n_dims, " dimensions, not 1 to 4"), at);
    uint64_t sizes[Shape::max_rank] = {};
    uint64_t n_values = 1;
    for (uint32_t i = 0; i < n_dims; ++i) {
        const uint64_t size_at = cursor_.offset();
        sizes[i] = cursor_.read<uint64_t>("a dimension");
        if (sizes[i] == 0) cursor_.fail(concat("dimension ", i, " is 0"), size_at);
        if (__builtin_mul_overflow(n_values, sizes[i], &n_values) || n_values > uint64_t{std::numeric_limits<int64_t>::max()})
            cursor_.fail(concat("dimension ", i, " is ", sizes[i], ": more values than 64 bits count"), size_at);
    }
    Shape shape;
    for (uint32_t i = n_dims; i > 0; --i) shape.append(static_cast<int64_t>(sizes[i - 1]));
    return shape;
}

DType HeaderParser::read_dtype() {
    const uint64_t at = cursor_.offset();
    const uint32_t id = cursor_.read<uint32_t>("the tensor type");
    const std::optional<DType> dtype = dtype_from_id(id);
    if (!dtype) cursor_.fail(concat("tensor type ", id, " is not known"), at);
    return *dtype;
}

/// The tensor's size, if rows are whole blocks and the size is a number of 63 bits.
uint64_t HeaderParser::checked_bytes(DType dtype, const Shape& shape, uint64_t at) {
    const DTypeInfo& info = dtype_info(dtype);
    const uint64_t n_cols = static_cast<uint64_t>(shape.n_cols());
    if (n_cols % info.block_size != 0)
        cursor_.fail(concat("rows of ", n_cols, " values are no whole blocks of ", info.block_size, ", as ", info.name, " needs"), at);
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(static_cast<uint64_t>(shape.n_values()) / info.block_size, uint64_t{info.block_bytes}, &bytes) ||
        bytes > uint64_t{std::numeric_limits<int64_t>::max()})
        cursor_.fail(concat("shape ", to_string(shape), " of ", info.name, " takes more bytes than 64 bits count"), at);
    return bytes;
}

/// Turns offsets into bytes of the file and pointers; a file that is too short is told by how much, from which tensor on.
void HeaderParser::place_tensors() {
    cursor_.set_subject("", "");
    header_.data_offset = align_up(cursor_.offset(), header_.alignment);
    uint64_t end_of_all = 0;
    size_t first_outside = header_.tensors.size();
    for (size_t i = 0; i < header_.tensors.size(); ++i) {
        GgufTensor& tensor = header_.tensors[i];
        uint64_t end = 0;
        const bool overflow = __builtin_add_overflow(tensor.offset, header_.data_offset, &tensor.offset) ||
                              __builtin_add_overflow(tensor.offset, tensor.view.bytes(), &end);
        if (overflow) end = std::numeric_limits<uint64_t>::max();
        if (end > file_.size()) {
            const bool earlier = first_outside == header_.tensors.size() || tensor.offset < header_.tensors[first_outside].offset;
            if (earlier) first_outside = i;
        } else {
            tensor.view.data = file_.data() + tensor.offset;
        }
        end_of_all = std::max(end_of_all, end);
    }
    if (end_of_all <= file_.size()) return;
    cursor_.set_subject("tensor", header_.tensors[first_outside].name);
    cursor_.fail(concat("its data are not all there: the file has ", file_.size(), " bytes and should have ", end_of_all, ", ",
                        end_of_all - file_.size(), " bytes are missing (an incomplete download?)"),
                 offset_fields_[first_outside]);
}

void HeaderParser::check_overlaps() {
    std::vector<size_t> order(header_.tensors.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto offset = [&](size_t i) { return header_.tensors[i].offset; };
    const auto by_offset = [&](size_t a, size_t b) { return offset(a) < offset(b); };
    if (!std::is_sorted(order.begin(), order.end(), by_offset)) std::sort(order.begin(), order.end(), by_offset);
    for (size_t i = 1; i < order.size(); ++i) {
        const GgufTensor& before = header_.tensors[order[i - 1]];
        if (before.offset + before.view.bytes() <= offset(order[i])) continue;
        cursor_.set_subject("tensor", header_.tensors[order[i]].name);
        cursor_.fail(concat("its data overlap those of ", quoted(before.name)), offset_fields_[order[i]]);
    }
}

}  // namespace

GgufHeader parse_header(std::span<const std::byte> file, std::string_view path) { return HeaderParser(file, path).parse(); }

}  // namespace quern
