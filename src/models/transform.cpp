#include "models/transform.h"

#include <algorithm>
#include <cstring>

#include "kernels/quant/decode.h"

namespace quern {
namespace {

uint64_t bytes_of_row(const TensorView& view) { return row_bytes(view.dtype, static_cast<uint64_t>(view.shape.n_cols())); }

// Position i of a head in GGUF holds position i/2 of the first half, or of the second.
int64_t interleaved(int64_t i, int64_t n_each) { return i / n_each * n_each + i % 2 * (n_each / 2) + i % n_each / 2; }

float decode_value(const TensorView& view, int64_t i) noexcept {
    float out = 0;
    decode_row({.dtype = view.dtype, .shape = {1}, .data = view.data + i * static_cast<int64_t>(row_bytes(view.dtype, 1))}, 0, &out);
    return out;
}

void fill_interleaved(const TensorView& source, int64_t row, int64_t n_heads, float* out) noexcept {
    if (source.shape.rank() > 1) return decode_row(source, interleaved(row, source.shape.n_rows() / n_heads), out);
    const int64_t n = source.shape.n_cols();
    for (int64_t i = 0; i < n; ++i) out[i] = decode_value(source, interleaved(i, n / n_heads));
}

void fill_plus_one(const TensorView& source, int64_t row, int64_t, float* out) noexcept {
    decode_row(source, row, out);
    for (int64_t i = 0; i < source.shape.n_cols(); ++i) out[i] += 1.0f;
}

void fill_transposed(const TensorView& source, int64_t row, int64_t, float* out) noexcept {
    const int64_t n_out = source.shape.n_cols(), n_in = source.shape[source.shape.rank() - 2];
    const int64_t matrix = row / n_out * n_in * n_out;
    for (int64_t i = 0; i < n_in; ++i) out[i] = decode_value(source, matrix + i * n_out + row % n_out);
}

void fill_every_second(const TensorView& source, int64_t row, int64_t first, float* out) noexcept {
    const int64_t n_cols = source.shape.n_cols(), n_out = n_cols / 2;
    if (source.shape.rank() == 2) {
        for (int64_t i = 0; i < n_out; ++i) out[i] = decode_value(source, row * n_cols + 2 * i + first);
        return;
    }
    const int64_t n_in = source.shape[1], expert = row / n_out, column = 2 * (row % n_out) + first;
    for (int64_t i = 0; i < n_in; ++i) out[i] = decode_value(source, (expert * n_in + i) * n_cols + column);
}

Shape twice_as_wide(const Shape& gguf, int64_t) {
    return gguf.rank() == 2 ? Shape{gguf[0], 2 * gguf[1]} : Shape{gguf[0], gguf[2], 2 * gguf[1]};
}

Shape transposed_shape(const Shape& gguf, int64_t) { return gguf.rank() == 2 ? Shape{gguf[1], gguf[0]} : Shape{gguf[0], gguf[2], gguf[1]}; }

// Both counts of a latent head in one parameter.
constexpr int64_t latent_unit = int64_t{1} << 24;
int64_t latent_parameter(int64_t n_keys, int64_t n_values) { return n_keys * latent_unit + n_values; }
int64_t latent_head(int64_t parameter) { return parameter / latent_unit + parameter % latent_unit; }

void fill_latent_keys(const TensorView& source, int64_t row, int64_t parameter, float* out) noexcept {
    const int64_t rank = source.shape.n_cols(), head = row / rank, n_keys = parameter / latent_unit;
    for (int64_t i = 0; i < n_keys; ++i) out[i] = decode_value(source, (head * latent_head(parameter) + i) * rank + row % rank);
}
Shape latent_keys_source(const Shape& gguf, int64_t parameter) { return {gguf[0] * latent_head(parameter), gguf[1]}; }

void fill_latent_values(const TensorView& source, int64_t row, int64_t parameter, float* out) noexcept {
    const int64_t n_values = parameter % latent_unit;
    decode_row(source, row / n_values * latent_head(parameter) + parameter / latent_unit + row % n_values, out);
}
Shape latent_values_source(const Shape& gguf, int64_t parameter) { return {gguf[0] * latent_head(parameter), gguf[2]}; }

void fill_later_row(const TensorView& source, int64_t row, int64_t n_skipped, float* out) noexcept {
    decode_row(source, row + n_skipped, out);
}

Shape longer_shape(const Shape& gguf, int64_t n_skipped) { return {gguf[0] + n_skipped, gguf[1]}; }

}  // namespace

void decode_row(const TensorView& view, int64_t row, float* out) noexcept {
    const std::byte* const from = view.data + row * static_cast<int64_t>(bytes_of_row(view));
    const int64_t n = view.shape.n_cols();
    const DecodeKernel decode = decode_for(view.dtype);
    const uint64_t each_bytes = row_bytes(view.dtype, 1);
    if (reinterpret_cast<uintptr_t>(from) % each_bytes == 0) return decode(from, out, n);
    // Nothing makes a checkpoint's file align its values.
    alignas(8) std::byte aligned[2048];
    const auto n_each = static_cast<int64_t>(sizeof aligned / each_bytes);
    for (int64_t at = 0; at < n; at += n_each) {
        const int64_t n_now = std::min(n_each, n - at);
        std::memcpy(aligned, from + at * static_cast<int64_t>(each_bytes), static_cast<size_t>(n_now) * each_bytes);
        decode(aligned, out + at, n_now);
    }
}

Transform interleave_halves(int64_t n_heads) {
    return {.fill_row = fill_interleaved, .parameter = n_heads, .on_products = OnProducts::rows};
}
Transform plus_one() { return {.fill_row = fill_plus_one, .on_products = OnProducts::unknown}; }
Transform every_second_column(int64_t first) {
    return {.fill_row = fill_every_second, .source_shape = twice_as_wide, .parameter = first, .on_products = OnProducts::unknown};
}
Transform transposed() { return {.fill_row = fill_transposed, .source_shape = transposed_shape}; }
Transform latent_keys(int64_t n_keys, int64_t n_values) {
    return {.fill_row = fill_latent_keys,
            .source_shape = latent_keys_source,
            .parameter = latent_parameter(n_keys, n_values),
            .on_products = OnProducts::unknown};
}
Transform latent_values(int64_t n_keys, int64_t n_values) {
    return {.fill_row = fill_latent_values,
            .source_shape = latent_values_source,
            .parameter = latent_parameter(n_keys, n_values),
            .on_products = OnProducts::unknown};
}
Transform skip_rows(int64_t n) {
    return {.fill_row = fill_later_row, .source_shape = longer_shape, .parameter = n, .on_products = OnProducts::unknown};
}

}  // namespace quern
