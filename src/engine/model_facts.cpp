// Source of the numbers of general.file_type: the GGUF specification.
#include "engine/model_facts.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/utf8.h"
#include "gguf/gguf_file.h"

namespace quern {
namespace {

struct FileTypeName {
    int64_t number;
    const char* name;
};

constexpr FileTypeName file_type_names[] = {
    {0, "F32"},     {1, "F16"},     {2, "Q4_0"},     {3, "Q4_1"},    {7, "Q8_0"},    {8, "Q5_0"},    {9, "Q5_1"},
    {10, "Q2_K"},   {11, "Q3_K_S"}, {12, "Q3_K_M"},  {13, "Q3_K_L"}, {14, "Q4_K_S"}, {15, "Q4_K_M"}, {16, "Q5_K_S"},
    {17, "Q5_K_M"}, {18, "Q6_K"},   {19, "IQ2_XXS"}, {20, "IQ2_XS"}, {21, "Q2_K_S"}, {22, "IQ3_XS"}, {23, "IQ3_XXS"},
    {24, "IQ1_S"},  {25, "IQ4_NL"}, {26, "IQ3_S"},   {27, "IQ3_M"},  {28, "IQ2_S"},  {29, "IQ2_M"},  {30, "IQ4_XS"},
    {31, "IQ1_M"},  {32, "BF16"},   {36, "TQ1_0"},   {37, "TQ2_0"},  {38, "MXFP4"},
};

constexpr uint64_t most_array_entries = 1 << 20;

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

std::string quantization_of(const GgufFile& file) {
    if (const MetadataValue* value = file.metadata().find("general.file_type"); value && !std::holds_alternative<MetadataArray>(*value)) {
        const auto number = file.metadata().integer("general.file_type").value_or(-1) & 1023;  // 1024: the file's name was a guess
        for (const FileTypeName& each : file_type_names)
            if (each.number == number) return each.name;
    }
    std::map<std::string_view, uint64_t> bytes;
    for (const GgufTensor& tensor : file.tensors()) bytes[dtype_name(tensor.view.dtype)] += tensor.view.bytes();
    const auto most = std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == bytes.end() ? std::string() : upper(most->first);
}

Json to_json(const MetadataValue& value, bool with_arrays) {
    return std::visit(
        [&](const auto& held) -> Json {
            using Held = std::decay_t<decltype(held)>;
            if constexpr (std::is_same_v<Held, std::string_view>) return repair_utf8(held);
            if constexpr (!std::is_same_v<Held, std::string_view> && !std::is_same_v<Held, MetadataArray>) return held;
            if constexpr (std::is_same_v<Held, MetadataArray>) {
                if (!with_arrays || held.count > most_array_entries) return nullptr;
                Json list = Json::array();
                for (uint64_t i = 0; i < held.count; ++i) list.push_back(to_json(element_at(held, i), true));
                return list;
            }
        },
        value);
}

std::string text_of(const GgufFile& file, const char* key) {
    const MetadataValue* value = file.metadata().find(key);
    const auto* text = value ? std::get_if<std::string_view>(value) : nullptr;
    return text ? repair_utf8(*text) : std::string();
}

int64_t modified_seconds(const std::string& path) {
    std::error_code ignored;
    const auto time = std::filesystem::last_write_time(path, ignored);
    if (ignored) return 0;
    const auto system = std::chrono::file_clock::to_sys(time);
    return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

}  // namespace

ModelFacts read_model_facts(const std::string& path, bool with_arrays) {
    const auto file = GgufFile::open(path);
    ModelFacts facts{.name = text_of(*file, "general.name"),
                     .architecture = text_of(*file, "general.architecture"),
                     .quantization = quantization_of(*file),
                     .license = text_of(*file, "general.license.text"),
                     .chat_template = text_of(*file, "tokenizer.chat_template")};
    if (facts.license.empty()) facts.license = text_of(*file, "general.license");
    for (const GgufTensor& tensor : file->tensors()) {
        facts.n_params += static_cast<uint64_t>(tensor.view.shape.n_values());
        facts.parts += concat(repair_utf8(tensor.name), ' ', dtype_name(tensor.view.dtype), ' ', tensor.view.shape.n_values(), ' ',
                              tensor.offset, '\n');
    }
    facts.file_bytes = file->file_bytes();
    facts.modified = modified_seconds(path);
    facts.makes_vectors = file->metadata().has(facts.architecture + ".pooling_type") || facts.architecture.ends_with("bert");
    for (const Metadata::Entry& entry : file->metadata().entries())
        facts.metadata[repair_utf8(entry.key)] = to_json(entry.value, with_arrays);
    return facts;
}

}  // namespace quern
