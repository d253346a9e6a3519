#include "gguf/metadata.h"

#include <array>
#include <concepts>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

/// Calls `use` with a zero of the C++ type. REQUIRES: neither string nor array.
template <typename Use>
auto with_number_type(MetadataType type, Use use) {
    switch (type) {
        case MetadataType::u8:
            return use(uint8_t{});
        case MetadataType::i8:
            return use(int8_t{});
        case MetadataType::u16:
            return use(uint16_t{});
        case MetadataType::i16:
            return use(int16_t{});
        case MetadataType::u32:
            return use(uint32_t{});
        case MetadataType::i32:
            return use(int32_t{});
        case MetadataType::f32:
            return use(float{});
        case MetadataType::boolean:
            return use(bool{});
        case MetadataType::u64:
            return use(uint64_t{});
        case MetadataType::i64:
            return use(int64_t{});
        case MetadataType::f64:
            return use(double{});
        default:
            throw InternalError(concat(to_string(type), " is no type of number"));
    }
}

template <typename T>
T number_at(const std::byte* numbers, uint64_t index) {
    T value;
    std::memcpy(&value, numbers + index * sizeof(T), sizeof(T));
    return value;
}

template <>
bool number_at<bool>(const std::byte* numbers, uint64_t index) {
    return numbers[index] != std::byte{0};
}

std::string describe(const MetadataValue& value) {
    if (const auto* array = std::get_if<MetadataArray>(&value)) return concat("array of ", to_string(array->element_type));
    return std::string(to_string(type_of(value)));
}

}  // namespace

std::string_view to_string(MetadataType type) {
    constexpr std::array<std::string_view, 13> names{"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                     "bool", "string", "array", "u64", "i64", "f64"};
    const auto id = static_cast<size_t>(type);
    QUERN_CHECK(id < names.size());
    return names[id];
}

bool is_integer(MetadataType type) {
    return type != MetadataType::f32 && type != MetadataType::f64 && type != MetadataType::boolean && type != MetadataType::string &&
           type != MetadataType::array;
}

uint64_t number_bytes(MetadataType type) {
    return with_number_type(type, [](auto zero) { return uint64_t{sizeof(zero)}; });
}

// The variant lists its alternatives in the order of the ids.
MetadataType type_of(const MetadataValue& value) { return static_cast<MetadataType>(value.index()); }

MetadataValue element_at(const MetadataArray& array, uint64_t index) {
    QUERN_CHECK(index < array.count);
    if (array.element_type == MetadataType::string) return array.strings[index];
    if (array.element_type == MetadataType::array) return array.arrays[index];
    return with_number_type(array.element_type,
                            [&](auto zero) -> MetadataValue { return number_at<decltype(zero)>(array.numbers, index); });
}

void Metadata::fail(std::string_view key, std::string_view what) const {
    throw ModelError(concat(printable(path_), path_.empty() ? "" : ": ", "key ", quoted(key), " ", what));
}

void Metadata::fail_missing(std::string_view key) const { fail(key, "is missing"); }

void Metadata::append(std::string_view key, MetadataValue value) {
    const bool is_new = index_.emplace(key, entries_.size()).second;
    QUERN_CHECK(is_new);
    entries_.push_back({key, std::move(value)});
}

void Metadata::set(std::string_view key, MetadataValue value) {
    const auto found = index_.find(key);
    if (found == index_.end()) return append(key, std::move(value));
    entries_[found->second].value = std::move(value);
}

const MetadataValue* Metadata::find(std::string_view key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &entries_[found->second].value;
}

std::optional<int64_t> Metadata::integer(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) return std::nullopt;
    return std::visit(
        [&](const auto& v) -> int64_t {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::integral<T> && !std::same_as<T, bool>) {
                if (!std::in_range<int64_t>(v)) fail(key, concat("is ", v, ", too large"));
                return static_cast<int64_t>(v);
            } else {
                fail(key, concat("is ", describe(*value), ", not an integer"));
            }
        },
        *value);
}

std::optional<double> Metadata::real(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) return std::nullopt;
    return std::visit(
        [&](const auto& v) -> double {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_arithmetic_v<T> && !std::same_as<T, bool>) {
                return static_cast<double>(v);
            } else {
                fail(key, concat("is ", describe(*value), ", not a number"));
            }
        },
        *value);
}

std::optional<bool> Metadata::boolean(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) return std::nullopt;
    if (const bool* v = std::get_if<bool>(value)) return *v;
    fail(key, concat("is ", describe(*value), ", not a bool"));
}

std::optional<std::string_view> Metadata::string(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) return std::nullopt;
    if (const auto* v = std::get_if<std::string_view>(value)) return *v;
    fail(key, concat("is ", describe(*value), ", not a string"));
}

const MetadataArray* Metadata::array(std::string_view key, std::string_view expected) const {
    const MetadataValue* value = find(key);
    if (!value) return nullptr;
    if (const auto* v = std::get_if<MetadataArray>(value)) return v;
    fail(key, concat("is ", describe(*value), ", not an array of ", expected));
}

std::span<const std::string_view> Metadata::strings(std::string_view key) const {
    const MetadataArray* found = array(key, "strings");
    if (!found) return {};
    // Some writers give an empty array the first type they think of.
    if (found->element_type != MetadataType::string && found->count > 0)
        fail(key, concat("is array of ", to_string(found->element_type), ", not an array of strings"));
    return found->strings;
}

std::vector<int64_t> Metadata::integers(std::string_view key) const {
    const MetadataArray* found = array(key, "integers");
    if (!found || found->count == 0) return {};
    if (!is_integer(found->element_type) && found->element_type != MetadataType::boolean)
        fail(key, concat("is array of ", to_string(found->element_type), ", not an array of integers"));
    std::vector<int64_t> values(found->count);
    with_number_type(found->element_type, [&](auto zero) {
        using T = decltype(zero);
        for (uint64_t i = 0; i < found->count; ++i) {
            const T value = number_at<T>(found->numbers, i);
            if constexpr (std::same_as<T, uint64_t>)
                if (!std::in_range<int64_t>(value)) fail(key, concat("has ", value, " at index ", i, ", too large"));
            values[i] = static_cast<int64_t>(value);
        }
    });
    return values;
}

std::vector<float> Metadata::reals(std::string_view key) const {
    const MetadataArray* found = array(key, "numbers");
    if (!found || found->count == 0) return {};
    const MetadataType type = found->element_type;
    if (!is_integer(type) && type != MetadataType::f32 && type != MetadataType::f64)
        fail(key, concat("is array of ", to_string(type), ", not an array of numbers"));
    std::vector<float> values(found->count);
    with_number_type(type, [&](auto zero) {
        for (uint64_t i = 0; i < found->count; ++i) values[i] = static_cast<float>(number_at<decltype(zero)>(found->numbers, i));
    });
    return values;
}

int64_t Metadata::require_integer(std::string_view key) const {
    const std::optional<int64_t> value = integer(key);
    if (!value) fail_missing(key);
    return *value;
}

double Metadata::require_real(std::string_view key) const {
    const std::optional<double> value = real(key);
    if (!value) fail_missing(key);
    return *value;
}

std::string_view Metadata::require_string(std::string_view key) const {
    const std::optional<std::string_view> value = string(key);
    if (!value) fail_missing(key);
    return *value;
}

}  // namespace quern
