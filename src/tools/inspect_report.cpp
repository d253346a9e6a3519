#include "tools/inspect_report.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdio>
#include <map>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/printable.h"
#include "tools/quantities.h"

namespace quern {
namespace {

constexpr uint64_t max_listed_elements = 6;  // of an array, in the text
constexpr size_t max_listed_bytes = 100;     // of a string, in the text
constexpr int max_listed_depth = 3;          // of nested arrays, in the text

struct TypeShare {
    DType dtype = DType::f32;
    uint64_t n_tensors = 0;
    uint64_t n_values = 0;
    uint64_t bytes = 0;
};

struct Totals {
    uint64_t n_values = 0;
    uint64_t bytes = 0;
    std::vector<TypeShare> types;  ///< most bytes first

    double bits_per_weight() const { return n_values == 0 ? 0.0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(n_values); }
};

Totals totals_of(const GgufFile& file) {
    Totals totals;
    std::map<DType, TypeShare> types;
    for (const GgufTensor& tensor : file.tensors()) {
        TypeShare& share = types[tensor.view.dtype];
        const uint64_t n_values = static_cast<uint64_t>(tensor.view.shape.n_values());
        share.dtype = tensor.view.dtype;
        share.n_tensors += 1;
        share.n_values += n_values;
        share.bytes += tensor.view.bytes();
        totals.n_values += n_values;
        totals.bytes += tensor.view.bytes();
    }
    for (const auto& [dtype, share] : types) totals.types.push_back(share);
    std::stable_sort(totals.types.begin(), totals.types.end(), [](const TypeShare& a, const TypeShare& b) { return a.bytes > b.bytes; });
    return totals;
}

/// The value if the key is a string: a file whose name is a number can be inspected all the same.
std::string_view string_or_empty(const Metadata& metadata, std::string_view key) {
    const MetadataValue* value = metadata.find(key);
    const auto* text = value ? std::get_if<std::string_view>(value) : nullptr;
    return text ? *text : std::string_view();
}

template <typename T>
std::string shortest(T value) {
    std::array<char, 64> text;
    const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
    return {text.data(), result.ptr};
}

// ---- for people

std::string value_text(const MetadataValue& value);

std::string array_text(const MetadataArray& array, int depth) {
    if (depth > max_listed_depth) return concat("[...] (", array.count, " in all)");
    std::string out = "[";
    for (uint64_t i = 0; i < std::min(array.count, max_listed_elements); ++i) {
        if (i) out += ", ";
        const bool nested = array.element_type == MetadataType::array;
        out += nested ? array_text(array.arrays[i], depth + 1) : value_text(element_at(array, i));
    }
    return array.count > max_listed_elements ? concat(out, ", ...] (", array.count, " in all)") : out + "]";
}

std::string value_text(const MetadataValue& value) {
    if (const auto* text = std::get_if<std::string_view>(&value)) {
        const std::string shown = concat('"', printable(*text, max_listed_bytes), '"');
        return text->size() > max_listed_bytes ? concat(shown, " (", text->size(), " bytes)") : shown;
    }
    if (const auto* array = std::get_if<MetadataArray>(&value)) return array_text(*array, 1);
    return std::visit(
        [](const auto& v) -> std::string {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::same_as<T, bool>) {
                return v ? "true" : "false";
            } else if constexpr (std::is_arithmetic_v<T>) {
                return shortest(v);
            } else {
                return "";
            }
        },
        value);
}

std::string type_text(const MetadataValue& value) {
    const auto* array = std::get_if<MetadataArray>(&value);
    return array ? concat(to_string(array->element_type), "[]") : std::string(to_string(type_of(value)));
}

void append_padded(std::string& out, std::string_view text, size_t width) {
    out += text;
    out.append(text.size() < width ? width - text.size() : 0, ' ');
}

void append_tensor_lines(std::string& out, const GgufFile& file) {
    out += "\ntensors\n";
    for (const GgufTensor& tensor : file.tensors()) {
        out += "  ";
        append_padded(out, printable(tensor.name), 36);
        append_padded(out, concat(' ', dtype_name(tensor.view.dtype)), 9);
        append_padded(out, concat(' ', to_string(tensor.view.shape)), 18);
        out += concat(' ', human_bytes(tensor.view.bytes()));
        if (file.n_parts() > 1) out += concat(", part ", tensor.part + 1);
        out += '\n';
    }
}

// ---- for programs

void append_json_string(std::string& out, std::string_view text) {
    out += nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

void append_json_array(std::string& out, const MetadataArray& array);

void append_json_value(std::string& out, const MetadataValue& value) {
    std::visit(
        [&](const auto& v) {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::same_as<T, bool>) {
                out += v ? "true" : "false";
            } else if constexpr (std::floating_point<T>) {
                if (std::isfinite(v)) {
                    out += shortest(v);
                } else {
                    out += std::isnan(v) ? "\"nan\"" : v > 0 ? "\"inf\"" : "\"-inf\"";
                }
            } else if constexpr (std::integral<T>) {
                out += shortest(v);
            } else if constexpr (std::same_as<T, MetadataArray>) {
                append_json_array(out, v);
            } else {
                append_json_string(out, v);
            }
        },
        value);
}

/// Elements that are arrays are objects with a type of their own.
void append_json_array(std::string& out, const MetadataArray& array) {
    out += '[';
    for (uint64_t i = 0; i < array.count; ++i) {
        if (i) out += ", ";
        if (array.element_type == MetadataType::array) {
            out += concat("{\"element_type\": \"", to_string(array.arrays[i].element_type), "\", \"value\": ");
            append_json_array(out, array.arrays[i]);
            out += '}';
        } else {
            append_json_value(out, element_at(array, i));
        }
    }
    out += ']';
}

void append_json_keys(std::string& out, const Metadata& metadata) {
    out += "{";
    std::string_view separator = "\n    ";
    for (const Metadata::Entry& entry : metadata.entries()) {
        out += separator;
        append_json_string(out, entry.key);
        out += concat(": {\"type\": \"", to_string(type_of(entry.value)), '"');
        if (const auto* array = std::get_if<MetadataArray>(&entry.value))
            out += concat(", \"element_type\": \"", to_string(array->element_type), '"');
        out += ", \"value\": ";
        append_json_value(out, entry.value);
        out += '}';
        separator = ",\n    ";
    }
    out += "\n  }";
}

void append_json_tensors(std::string& out, const GgufFile& file) {
    out += "[";
    std::string_view separator = "\n    ";
    for (const GgufTensor& tensor : file.tensors()) {
        out += concat(separator, "{\"name\": ");
        append_json_string(out, tensor.name);
        out += concat(", \"type\": \"", dtype_name(tensor.view.dtype), "\", \"shape\": ", to_string(tensor.view.shape));
        out += concat(", \"part\": ", tensor.part, ", \"offset\": ", tensor.offset, ", \"bytes\": ", tensor.view.bytes(), '}');
        separator = ",\n    ";
    }
    out += "\n  ]";
}

}  // namespace

std::string inspect_text(const GgufFile& file, const std::optional<MemoryNeed>& memory, bool list_tensors) {
    const Totals totals = totals_of(file);
    std::string out = concat("file          ", printable(file.path()), '\n');
    out += concat("format        GGUF v", file.version(), ", ", human_bytes(file.file_bytes()), " (", file.file_bytes(), " bytes)");
    if (file.n_parts() > 1) out += concat(" in ", file.n_parts(), " parts");
    out += concat("\narchitecture  ", printable(string_or_empty(file.metadata(), "general.architecture"), max_listed_bytes), '\n');
    out += concat("name          ", printable(string_or_empty(file.metadata(), "general.name"), max_listed_bytes), '\n');
    out += concat("parameters    ", human_count(totals.n_values), " (", totals.n_values, ")\n");
    std::array<char, 64> bits;
    std::snprintf(bits.data(), bits.size(), "%.3f", totals.bits_per_weight());
    out += concat("tensors       ", file.tensors().size(), ", ", human_bytes(totals.bytes), ", ", bits.data(), " bits per weight\n");
    for (const TypeShare& share : totals.types) {
        out += "  ";
        append_padded(out, dtype_name(share.dtype), 12);
        out += concat(share.n_tensors, share.n_tensors == 1 ? " tensor, " : " tensors, ", human_count(share.n_values), " values, ");
        out += concat(human_bytes(share.bytes), '\n');
    }
    if (memory) {
        out += concat("memory        for a window of ", memory->n_ctx, " tokens: ", human_bytes(memory->weight_bytes),
                      " weights (the mapped file), ");
        out += concat(human_bytes(memory->kv_bytes), " keys and values, ", human_bytes(memory->workspace_bytes), " workspace; together ");
        out += concat(human_bytes(memory->weight_bytes + memory->kv_bytes + memory->workspace_bytes), '\n');
    }
    out += concat("\nkeys          ", file.metadata().entries().size(), '\n');
    for (const Metadata::Entry& entry : file.metadata().entries()) {
        out += "  ";
        append_padded(out, printable(entry.key), 40);
        append_padded(out, concat(' ', type_text(entry.value)), 10);
        out += concat(' ', value_text(entry.value), '\n');
    }
    if (list_tensors) append_tensor_lines(out, file);
    return out;
}

std::string inspect_json(const GgufFile& file, const std::optional<MemoryNeed>& memory) {
    const Totals totals = totals_of(file);
    std::string out = "{\n  \"path\": ";
    append_json_string(out, file.path());
    out += concat(",\n  \"version\": ", file.version(), ",\n  \"parts\": ", file.n_parts(), ",\n  \"file_bytes\": ", file.file_bytes());
    if (memory) {
        out += concat(",\n  \"memory\": {\"n_ctx\": ", memory->n_ctx, ", \"weight_bytes\": ", memory->weight_bytes);
        out += concat(", \"kv_bytes\": ", memory->kv_bytes, ", \"workspace_bytes\": ", memory->workspace_bytes, '}');
    }
    out += ",\n  \"architecture\": ";
    append_json_string(out, string_or_empty(file.metadata(), "general.architecture"));
    out += ",\n  \"name\": ";
    append_json_string(out, string_or_empty(file.metadata(), "general.name"));
    out += concat(",\n  \"parameters\": ", totals.n_values, ",\n  \"tensor_bytes\": ", totals.bytes);
    out += concat(",\n  \"bits_per_weight\": ", shortest(totals.bits_per_weight()), ",\n  \"types\": {");
    for (const TypeShare& share : totals.types) {
        out += concat(&share == totals.types.data() ? "" : ", ", '"', dtype_name(share.dtype), "\": {\"tensors\": ", share.n_tensors);
        out += concat(", \"parameters\": ", share.n_values, ", \"bytes\": ", share.bytes, '}');
    }
    out += "},\n  \"metadata\": ";
    append_json_keys(out, file.metadata());
    out += ",\n  \"tensors\": ";
    append_json_tensors(out, file);
    return out + "\n}\n";
}

}  // namespace quern
