#include "convert/packed_experts.h"

#include "kernels/quant/fp4/mxfp4.h"

namespace quern {
namespace {

constexpr int64_t block_bytes = MXFP4::block_values / 2;

}  // namespace

std::optional<PackedExperts> find_packed_rows(const ConvertedTensor& wanted, const SourceTensor& blocks, const SourceTensor& scales) {
    if (wanted.shape.rank() != 3 || !wanted.transform.source_shape || wanted.shape[2] % MXFP4::block_values != 0) return std::nullopt;
    const Shape matrix = wanted.transform.source_shape(wanted.shape, wanted.transform.parameter);  // [n_experts, n_cols, n_rows * step]
    const int64_t n_blocks = wanted.shape[2] / MXFP4::block_values;
    const std::vector<int64_t> sizes{matrix[0], matrix[2], n_blocks};
    if (blocks.type != "U8" || scales.type != "U8" || scales.sizes != sizes) return std::nullopt;
    if (blocks.sizes != std::vector<int64_t>{matrix[0], matrix[2], n_blocks, block_bytes}) return std::nullopt;
    const int64_t step = matrix[2] / wanted.shape[1];
    return PackedExperts{.blocks = &blocks,
                         .scales = &scales,
                         .n_rows = wanted.shape[1],
                         .n_cols = wanted.shape[2],
                         .step = step,
                         .first = step == 1 ? 0 : wanted.transform.parameter};
}

void PackedExperts::copy_row(int64_t row, std::byte* out) const noexcept {
    const int64_t n_blocks = n_cols / MXFP4::block_values, source_row = row / n_rows * n_rows * step + first + row % n_rows * step;
    const std::byte* from = blocks->bytes.data() + source_row * n_blocks * block_bytes;
    const std::byte* const exponents = scales->bytes.data() + source_row * n_blocks;
    for (int64_t b = 0; b < n_blocks; ++b, from += block_bytes) {
        *out++ = exponents[b];
        for (int64_t i = 0; i < block_bytes; ++i) {  // values i and 16 + i: both in the even half of their bytes, or both in the odd one
            const std::byte low = from[i / 2], high = from[block_bytes / 2 + i / 2];
            *out++ = i % 2 == 0 ? (low & std::byte{15}) | high << 4 : low >> 4 | (high & std::byte{0xF0});
        }
    }
}

void PackedExperts::decode_row(int64_t row, float* out) const noexcept {
    const int64_t n_blocks = n_cols / MXFP4::block_values, source_row = row / n_rows * n_rows * step + first + row % n_rows * step;
    const std::byte* from = blocks->bytes.data() + source_row * n_blocks * block_bytes;
    for (int64_t b = 0; b < n_blocks; ++b, from += block_bytes, out += MXFP4::block_values) {
        const float unit = half_power(static_cast<uint8_t>(scales->bytes[static_cast<size_t>(source_row * n_blocks + b)]));
        for (int64_t i = 0; i < block_bytes; ++i) {
            out[2 * i] = unit * static_cast<float>(fp4_levels[static_cast<uint8_t>(from[i]) & 15]);
            out[2 * i + 1] = unit * static_cast<float>(fp4_levels[static_cast<uint8_t>(from[i]) >> 4]);
        }
    }
}

}  // namespace quern
