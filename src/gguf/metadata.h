// The key-value section of a GGUF file: typed values, bounded arrays.
// Source: the GGUF specification, versions 2 and 3.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace quern {

/// Enumerators carry the ids of the file format.
enum class MetadataType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

std::string_view to_string(MetadataType type);
bool is_integer(MetadataType type);

/// Bytes of one value in the file. REQUIRES: neither string nor array.
uint64_t number_bytes(MetadataType type);

struct MetadataArray;
using MetadataValue = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool, std::string_view, MetadataArray,
                                   uint64_t, int64_t, double>;

/// Elements as they lie in the file (numbers little-endian, maybe unaligned; strings parsed into views; arrays nested).
struct MetadataArray {
    MetadataType element_type = MetadataType::u32;
    uint64_t count = 0;
    const std::byte* numbers = nullptr;     ///< element_type is a number or bool
    std::vector<std::string_view> strings;  ///< element_type is string
    std::vector<MetadataArray> arrays;      ///< element_type is array
};

MetadataType type_of(const MetadataValue& value);

/// One element of an array as a value of its own. REQUIRES: index < array.count. Copies the element if it is an array.
MetadataValue element_at(const MetadataArray& array, uint64_t index);

/// Keys in file order. Strings and arrays are views into the mapped file, which must outlive this.
class Metadata {
  public:
    struct Entry {
        std::string_view key;
        MetadataValue value;
    };

    Metadata() = default;
    /// `path` is what errors begin with.
    explicit Metadata(std::string_view path) : path_(path) {}

    const std::vector<Entry>& entries() const noexcept { return entries_; }
    const MetadataValue* find(std::string_view key) const;
    bool has(std::string_view key) const { return find(key) != nullptr; }

    /// Any integer type that holds the value. Nothing if the key is absent. @throws ModelError when it is no integer or out of range
    std::optional<int64_t> integer(std::string_view key) const;
    /// f32, f64 or any integer. @throws ModelError when it is something else
    std::optional<double> real(std::string_view key) const;
    std::optional<bool> boolean(std::string_view key) const;
    std::optional<std::string_view> string(std::string_view key) const;
    /// Empty if absent. @throws ModelError when it is no array of strings
    std::span<const std::string_view> strings(std::string_view key) const;
    /// Any array of integers, or of bools (as 0 and 1). Empty if absent. @throws ModelError when it is something else or out of range
    std::vector<int64_t> integers(std::string_view key) const;
    /// Any array of numbers. Empty if absent. @throws ModelError when it is something else
    std::vector<float> reals(std::string_view key) const;

    /// As above, and @throws ModelError "key ... is missing" when absent.
    int64_t require_integer(std::string_view key) const;
    double require_real(std::string_view key) const;
    std::string_view require_string(std::string_view key) const;

    /// REQUIRES: the key is new.
    void append(std::string_view key, MetadataValue value);
    /// Appends, or takes the place of the value that is there.
    void set(std::string_view key, MetadataValue value);
    void reserve(size_t n_keys) { entries_.reserve(n_keys); }

  private:
    [[noreturn]] void fail(std::string_view key, std::string_view what) const;
    [[noreturn]] void fail_missing(std::string_view key) const;
    const MetadataArray* array(std::string_view key, std::string_view expected) const;

    std::string path_;
    std::vector<Entry> entries_;
    std::map<std::string_view, size_t> index_;  // ordered, because a hostile file could choose keys that collide in a hash table
};

}  // namespace quern
