// Feeds bytes to the GGUF header parser. What it accepts must be usable: every key can be asked for in every way, all tensor data lie
// within the file, and a copy by the writer reads back the same.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "gguf/gguf_writer.h"
#include "gguf/header.h"

namespace {

using namespace quern;

void require(bool condition) {
    if (!condition) std::abort();
}

template <typename Ask>
void ask(Ask question) {
    try {
        question();
    } catch (const ModelError&) {
    }
}

void ask_all(const Metadata& metadata) {
    for (const Metadata::Entry& entry : metadata.entries()) {
        ask([&] { metadata.require_integer(entry.key); });
        ask([&] { metadata.require_real(entry.key); });
        ask([&] { metadata.boolean(entry.key); });
        ask([&] { metadata.require_string(entry.key); });
        ask([&] { metadata.strings(entry.key); });
        ask([&] { metadata.integers(entry.key); });
        ask([&] { metadata.reals(entry.key); });
        const auto* array = std::get_if<MetadataArray>(&entry.value);
        if (array && array->count > 0) {
            element_at(*array, 0);
            element_at(*array, array->count - 1);
        }
    }
}

std::string copy(const GgufHeader& header) {
    GgufWriter writer;
    for (const Metadata::Entry& entry : header.metadata.entries()) writer.set(entry.key, entry.value);
    for (const GgufTensor& tensor : header.tensors) writer.add_tensor(tensor.name, tensor.view.dtype, tensor.view.shape);
    std::string bytes = writer.header();
    if (!header.tensors.empty()) bytes.resize(writer.file_bytes());
    return bytes;
}

void check_copy(const GgufHeader& header) {
    if (header.alignment > 4096) return;  // padding to it would be all that is tested
    const std::string bytes = copy(header);
    const GgufHeader again = parse_header(std::as_bytes(std::span(bytes)), "copy");
    require(again.metadata.entries().size() == header.metadata.entries().size());
    require(again.tensors.size() == header.tensors.size());
    for (size_t i = 0; i < header.tensors.size(); ++i) {
        require(again.tensors[i].name == header.tensors[i].name);
        require(again.tensors[i].view.shape == header.tensors[i].view.shape);
    }
    require(copy(again) == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
    try {
        const GgufHeader header = parse_header(file, "fuzz");
        ask_all(header.metadata);
        for (const GgufTensor& tensor : header.tensors) {
            require(tensor.view.data >= file.data() && tensor.view.bytes() > 0);
            require(tensor.view.bytes() <= static_cast<size_t>(file.data() + size - tensor.view.data));
        }
        check_copy(header);
    } catch (const ModelError& error) {
        require(std::strchr(error.what(), '\n') == nullptr);
    }
    return 0;
}
