#include "convert/quantize.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "kernels/cpu_kernels.h"
#include "kernels/quant/decode.h"
#include "kernels/quant/encode.h"

namespace quern {
namespace {

constexpr int64_t values_per_block = 1 << 16;  // of one unit of work: fits in L2 as f32
constexpr int64_t nowhere = std::numeric_limits<int64_t>::max();

constexpr float most_in_f16 = 65504.0f, rounds_beyond_f16 = 65520.0f;

/// The column of the largest value. REQUIRES: all are finite
int64_t largest(const float* x, int64_t n) {
    float most = 0;
    for (int64_t i = 0; i < n; ++i) most = std::max(most, std::abs(x[i]));
    if (most <= most_in_f16) return 0;  // no value of the row needs a look
    return std::find_if(x, x + n, [most](float v) { return std::abs(v) == most; }) - x;
}

int64_t first_not_finite(const float* x, int64_t n) {
    bool all_finite = true;
    for (int64_t i = 0; i < n; ++i) all_finite &= x[i] - x[i] == 0.0f;
    if (all_finite) return nowhere;
    return std::find_if(x, x + n, [](float v) { return !(v - v == 0.0f); }) - x;
}

void keep_least(std::atomic<int64_t>& least, int64_t value) {
    int64_t seen = least.load(std::memory_order_relaxed);
    while (value < seen && !least.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
    }
}

[[noreturn]] void fail_too_large(const PlannedTensor& planned, int64_t place, int64_t n_cols) {
    throw ModelError(concat(planned.source->name, " holds a value that ", dtype_name(planned.dtype), " cannot hold, in row ",
                            place / n_cols, ", column ", place % n_cols, "; choose bf16 or f32 for it"));
}

[[noreturn]] void fail_not_finite(const PlannedTensor& planned, int64_t place, int64_t n_cols) {
    throw ModelError(concat(planned.source->name, " holds a value that is not finite, in row ", place / n_cols, ", column ", place % n_cols,
                            ": the model is broken, and would be so in any format"));
}

/// Decodes and encodes ranges of a tensor's rows.
class RowEncoder {
  public:
    RowEncoder(const PlannedTensor& planned, Isa isa, std::byte* out)
        : planned_(planned),
          out_(out),
          decode_(cpu_kernels(isa).decode(planned.source->view.dtype)),
          encode_(encode_for(planned.dtype, isa)),
          check_(cpu_kernels(isa).decode(planned.dtype)),
          n_cols_(planned.source->view.shape.n_cols()),
          in_row_(static_cast<int64_t>(row_bytes(planned.source->view.dtype, static_cast<uint64_t>(n_cols_)))),
          out_row_(static_cast<int64_t>(row_bytes(planned.dtype, static_cast<uint64_t>(n_cols_)))) {
        const Shape& shape = planned.source->view.shape;
        rows_per_matrix_ = shape.rank() >= 2 ? std::max<int64_t>(1, shape[shape.rank() - 2]) : 1;
    }

    /// Places of the values that come first of their kind.
    struct Bad {
        std::atomic<int64_t> not_finite{nowhere}, too_large{nowhere};
    };

    /// Row by row, through `scratch` of n_cols values. False when a value is bad.
    bool encode(int64_t row, float* scratch, Bad& bad) const noexcept {
        if (planned_.read_bytes && planned_.dtype == planned_.source->view.dtype) {
            planned_.read_bytes(row, out_ + row * out_row_);
            return true;
        }
        const std::byte* const from = planned_.source->view.data + row * in_row_;
        const float* x = reinterpret_cast<const float*>(from);
        if (planned_.read_row) {
            planned_.read_row(row, scratch);
            x = scratch;
        } else if (planned_.source->view.dtype != DType::f32 || reinterpret_cast<uintptr_t>(from) % alignof(float) != 0) {
            decode_(from, scratch, n_cols_);
            x = scratch;
        }
        if (const int64_t at = first_not_finite(x, n_cols_); at != nowhere) {
            keep_least(bad.not_finite, row * n_cols_ + at);
            return false;
        }
        std::byte* const out = out_ + row * out_row_;
        if (!encode_) {
            std::memcpy(out, x, static_cast<size_t>(out_row_));  // f32
            return true;
        }
        encode_(x, importance(row), n_cols_, out);
        const int64_t most = largest(x, n_cols_);
        if (std::abs(x[most]) <= most_in_f16 || holds(out, most, x[most], scratch)) return true;
        keep_least(bad.too_large, row * n_cols_ + most);
        return false;
    }
    int64_t n_cols() const { return n_cols_; }

  private:
    /// Encoders write the most that a format has for what is beyond it, in the scale of a block or in the value itself.
    bool holds(const std::byte* encoded, int64_t column, float value, float* scratch) const noexcept {
        if (planned_.dtype == DType::f16) return std::abs(value) < rounds_beyond_f16;
        check_(encoded, scratch, n_cols_);
        return first_not_finite(scratch, n_cols_) == nowhere && std::abs(scratch[column]) >= 0.25f * std::abs(value);
    }
    const float* importance(int64_t row) const noexcept {
        if (planned_.importance.empty()) return nullptr;
        const bool one_for_all = static_cast<int64_t>(planned_.importance.size()) == n_cols_;
        return planned_.importance.data() + (one_for_all ? 0 : row / rows_per_matrix_ * n_cols_);
    }

    const PlannedTensor& planned_;
    std::byte* out_;
    DecodeKernel decode_;
    EncodeKernel encode_;
    DecodeKernel check_;
    int64_t n_cols_, in_row_, out_row_, rows_per_matrix_ = 1;
};

}  // namespace

std::vector<std::byte> encode_tensor(const PlannedTensor& planned, const EncodeResources& resources) {
    std::vector<std::byte> out(static_cast<size_t>(planned.bytes()));
    const RowEncoder encoder(planned, resources.isa, out.data());
    const int64_t n_rows = planned.source->view.shape.n_rows();
    const int64_t rows_per_block = std::max<int64_t>(1, values_per_block / std::max<int64_t>(1, encoder.n_cols()));
    std::vector<std::vector<float>> scratch(static_cast<size_t>(resources.pool.n_threads()));
    for (std::vector<float>& each : scratch) each.resize(static_cast<size_t>(encoder.n_cols()));
    RowEncoder::Bad bad;
    resources.pool.for_each((n_rows + rows_per_block - 1) / rows_per_block, [&](int64_t block, int thread) noexcept {
        const int64_t end = std::min(n_rows, (block + 1) * rows_per_block);
        for (int64_t row = block * rows_per_block; row < end; ++row)
            if (!encoder.encode(row, scratch[static_cast<size_t>(thread)].data(), bad)) return;
    });
    if (bad.not_finite != nowhere) fail_not_finite(planned, bad.not_finite, encoder.n_cols());
    if (bad.too_large != nowhere) fail_too_large(planned, bad.too_large, encoder.n_cols());
    return out;
}

namespace {

/// Norms and what else stays as it is: a broken model must not come through because of them.
void check_finite(const PlannedTensor& planned, ThreadPool& pool) {
    const DType dtype = planned.source->view.dtype;
    if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16) return;
    const int64_t n_cols = planned.source->view.shape.n_cols(), n_rows = planned.source->view.shape.n_rows();
    const auto bytes = static_cast<int64_t>(row_bytes(dtype, static_cast<uint64_t>(n_cols)));
    const DecodeKernel decode = decode_for(dtype);
    std::vector<std::vector<float>> rows(static_cast<size_t>(pool.n_threads()), std::vector<float>(static_cast<size_t>(n_cols)));
    std::atomic<int64_t> bad{nowhere};
    pool.for_each(n_rows, [&](int64_t row, int thread) noexcept {
        float* const values = rows[static_cast<size_t>(thread)].data();
        decode(planned.source->view.data + row * bytes, values, n_cols);
        const int64_t place = first_not_finite(values, n_cols);
        if (place != nowhere) keep_least(bad, row * n_cols + place);
    });
    if (bad != nowhere) fail_not_finite(planned, bad, n_cols);
}

}  // namespace

void write_quantized(std::span<const PlannedTensor> plan, GgufWriter& writer, const std::string& path, const EncodeResources& resources,
                     const QuantizeProgress& progress) {
    for (const PlannedTensor& each : plan) writer.add_tensor(each.source->name, each.dtype, each.source->view.shape);
    writer.open(path);
    for (const PlannedTensor& each : plan) {
        const uint64_t n_read = each.source->view.bytes();
        if (each.is_copied()) check_finite(each, resources.pool);
        if (each.is_copied())
            writer.write({each.source->view.data, static_cast<size_t>(n_read)});
        else
            writer.write(encode_tensor(each, resources));
        if (progress) progress(each, n_read, each.bytes());
    }
    writer.finish();
}

}  // namespace quern
