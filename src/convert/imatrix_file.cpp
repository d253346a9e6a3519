#include "convert/imatrix_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/printable.h"
#include "gguf/cursor.h"
#include "gguf/gguf_file.h"
#include "gguf/gguf_writer.h"
#include "gguf/output_file.h"

namespace quern {
namespace {

constexpr std::string_view sums_suffix = ".in_sum2", counts_suffix = ".counts";
constexpr std::string_view run_key = "quern.imatrix.run", done_key = "quern.imatrix.chunks_done";

[[noreturn]] void fail(const std::string& path, std::string_view what) { throw ModelError(concat(printable(path), ": ", what)); }

// Sums and counts are numbers of things: neither negative nor NaN nor infinite.
std::vector<double> checked_values(const std::string& path, std::string_view name, const std::byte* data, size_t n) {
    std::vector<double> values(n);
    for (size_t i = 0; i < n; ++i) {
        float value;
        std::memcpy(&value, data + i * sizeof value, sizeof value);
        if (!std::isfinite(value) || value < 0)
            fail(path, concat("value ", i, " of ", printable(name), " is ", value, ": the file is broken"));
        values[i] = static_cast<double>(value);
    }
    return values;
}

std::vector<double> checked_values(const std::string& path, const GgufTensor& tensor) {
    if (tensor.view.dtype != DType::f32) fail(path, concat(printable(tensor.name), " is ", dtype_name(tensor.view.dtype), " and not f32"));
    return checked_values(path, tensor.name, tensor.view.data, static_cast<size_t>(tensor.view.shape.n_values()));
}

ImatrixFile read_gguf(const std::string& path) {
    const auto file = GgufFile::open(path);
    const Metadata& metadata = file->metadata();
    const std::string_view type = metadata.string("general.type").value_or("model");
    ImatrixFile result;
    Imatrix& imatrix = result.imatrix;
    for (const GgufTensor& tensor : file->tensors()) {
        if (!tensor.name.ends_with(sums_suffix)) continue;
        const std::string name(tensor.name.substr(0, tensor.name.size() - sums_suffix.size()));
        const GgufTensor* counts = file->find_tensor(name + std::string(counts_suffix));
        if (!counts) fail(path, concat("there are sums but no counts for ", printable(name)));
        ImatrixEntry entry{.sums = checked_values(path, tensor), .counts = checked_values(path, *counts)};
        if (entry.sums.empty() || entry.counts.empty() || entry.sums.size() % entry.counts.size() != 0)
            fail(path, concat(printable(name), " has ", entry.sums.size(), " sums for ", entry.counts.size(), " counts"));
        imatrix.entries.emplace(name, std::move(entry));
    }
    if (type != "imatrix" && imatrix.entries.empty())
        fail(path, concat("is a GGUF file of the type ", quoted(type), " and no importance matrix"));
    if (imatrix.entries.empty()) fail(path, "is an importance matrix without any entry");
    for (const std::string_view each : metadata.strings("imatrix.datasets")) imatrix.datasets.emplace_back(each);
    imatrix.chunk_size = metadata.integer("imatrix.chunk_size").value_or(512);
    if (imatrix.chunk_size < 1 || imatrix.chunk_size > 1 << 30) fail(path, concat("imatrix.chunk_size is ", imatrix.chunk_size));
    if (const auto run = metadata.string(run_key))
        result.progress = {.run = std::string(*run), .n_chunks_done = std::max<int64_t>(0, metadata.integer(done_key).value_or(0))};
    return result;
}

int64_t read_length(Cursor& cursor, std::string_view what, int64_t least) {
    const uint64_t at = cursor.offset();
    const auto n = cursor.read<int32_t>(what);
    if (n < least) cursor.fail(concat(what, " is ", n, ": this is no importance matrix, or a broken one"), at);
    return n;
}

ImatrixFile read_dat(const std::string& path, std::span<const std::byte> bytes, int64_t chunk_size) {
    Cursor cursor(bytes, path);
    ImatrixFile result;
    result.imatrix.chunk_size = chunk_size;
    const int64_t n_entries = read_length(cursor, "the number of entries", 1);
    for (int64_t i = 0; i < n_entries; ++i) {
        const int64_t length = read_length(cursor, "the length of a name", 1);
        const auto* text = reinterpret_cast<const char*>(cursor.skip(static_cast<uint64_t>(length), "a name"));
        const std::string name(text, static_cast<size_t>(length));
        const uint64_t at = cursor.offset();
        if (!is_utf8(name)) cursor.fail("a name is no UTF-8: this is no importance matrix", at);
        const auto n_calls = static_cast<double>(read_length(cursor, "the number of chunks", 0));
        const int64_t n_values = read_length(cursor, "the number of values", 1);
        const std::byte* data = cursor.skip(static_cast<uint64_t>(n_values) * sizeof(float), concat("the values of ", quoted(name)));
        ImatrixEntry entry{.sums = checked_values(path, name, data, static_cast<size_t>(n_values))};
        // Some old files have means and no number of chunks.
        for (double& sum : entry.sums) sum *= static_cast<double>(chunk_size);
        entry.counts = {std::max(1.0, n_calls) * static_cast<double>(chunk_size)};
        if (!result.imatrix.entries.emplace(name, std::move(entry)).second) cursor.fail(concat(quoted(name), " is there twice"), at);
    }
    if (cursor.bytes_left() == 0) return result;
    read_length(cursor, "the number of chunks", 0);
    const int64_t length = read_length(cursor, "the length of the text's name", 0);
    const auto* name = reinterpret_cast<const char*>(cursor.skip(static_cast<uint64_t>(length), "the text's name"));
    if (length > 0) result.imatrix.datasets.emplace_back(name, static_cast<size_t>(length));
    return result;
}

std::vector<float> as_floats(const std::vector<double>& values) {
    std::vector<float> floats(values.size());
    std::transform(values.begin(), values.end(), floats.begin(),
                   [](double v) { return static_cast<float>(std::min(v, double{std::numeric_limits<float>::max()})); });
    return floats;
}

void write_gguf(const ImatrixFile& file, const std::string& path) {
    const Imatrix& imatrix = file.imatrix;
    GgufWriter writer;
    writer.set("general.type", std::string_view("imatrix"));
    writer.set_strings("imatrix.datasets", std::span<const std::string>(imatrix.datasets));
    writer.set("imatrix.chunk_count", static_cast<uint32_t>(std::min<int64_t>(imatrix.n_chunks(), UINT32_MAX)));
    writer.set("imatrix.chunk_size", static_cast<uint32_t>(imatrix.chunk_size));
    if (file.progress) {
        writer.set(run_key, std::string_view(file.progress->run));
        writer.set(done_key, static_cast<uint32_t>(file.progress->n_chunks_done));
    }
    for (const auto& [name, entry] : imatrix.entries) {
        const auto n_matrices = static_cast<int64_t>(entry.counts.size());
        writer.add_tensor(concat(name, sums_suffix), DType::f32, {n_matrices, entry.n_cols()});
        writer.add_tensor(concat(name, counts_suffix), DType::f32, {n_matrices, 1});
    }
    writer.open(path);
    for (const auto& [name, entry] : imatrix.entries) {
        const std::vector<float> sums = as_floats(entry.sums), counts = as_floats(entry.counts);
        writer.write(std::as_bytes(std::span(sums)));
        writer.write(std::as_bytes(std::span(counts)));
    }
    writer.finish();
}

void write_dat(const Imatrix& imatrix, const std::string& path) {
    OutputFile out(path);
    const auto put = [&](int64_t value) {
        const auto narrow = static_cast<int32_t>(std::min<int64_t>(value, INT32_MAX));
        out.write(std::as_bytes(std::span(&narrow, 1)));
    };
    const auto put_text = [&](std::string_view text) {
        put(static_cast<int64_t>(text.size()));
        out.write(text);
    };
    put(static_cast<int64_t>(imatrix.entries.size()));
    const Importance means = importance_of(imatrix);
    for (const auto& [name, entry] : imatrix.entries) {
        const double most = *std::max_element(entry.counts.begin(), entry.counts.end());
        const double n_calls = std::max(1.0, std::ceil(most / static_cast<double>(imatrix.chunk_size)));
        put_text(name);
        put(static_cast<int64_t>(n_calls));
        put(static_cast<int64_t>(entry.sums.size()));
        std::vector<float> values(entry.sums.size(), 1.0f);
        if (const auto found = means.find(name); found != means.end()) values = found->second;
        for (float& value : values) value *= static_cast<float>(n_calls);
        out.write(std::as_bytes(std::span(values)));
    }
    put(imatrix.n_chunks());
    put_text(imatrix.datasets.empty() ? std::string_view() : imatrix.datasets.back());
    out.commit();
}

}  // namespace

ImatrixFile read_imatrix(const std::string& path, int64_t dat_chunk_size) {
    constexpr std::string_view magic = "GGUF";
    {
        const MappedFile file(path);
        const std::span<const std::byte> bytes = file.bytes();
        if (bytes.size() < magic.size() || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0)
            return read_dat(path, bytes, dat_chunk_size);
    }
    return read_gguf(path);
}

void write_imatrix(const ImatrixFile& file, const std::string& path, ImatrixFormat format) {
    if (file.imatrix.entries.empty()) throw InvalidInput(concat(printable(path), ": there is nothing to write: the matrix has no entries"));
    if (format == ImatrixFormat::gguf)
        write_gguf(file, path);
    else
        write_dat(file.imatrix, path);
}

}  // namespace quern
