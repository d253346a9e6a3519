#include "convert/verify.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>

#include "base/error.h"
#include "kernels/quant/decode.h"

namespace quern {
namespace {

std::string sha256_of(const std::byte* data, uint64_t n_bytes) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    const bool done = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1 &&
                      EVP_DigestUpdate(context.get(), data, static_cast<size_t>(n_bytes)) == 1 &&
                      EVP_DigestFinal_ex(context.get(), digest, &length) == 1;
    if (!done) throw DeviceError("the system's SHA-256 failed");
    std::string hex;
    for (unsigned int i = 0; i < length; ++i) {
        constexpr char digits[] = "0123456789abcdef";
        hex += digits[digest[i] >> 4];
        hex += digits[digest[i] & 15];
    }
    return hex;
}

/// A tensor's rows as f32, one after the other.
class RowReader {
  public:
    explicit RowReader(const GgufTensor& tensor)
        : data_(tensor.view.data), decode_(decode_for(tensor.view.dtype)), n_cols_(tensor.view.shape.n_cols()) {
        if (decode_) row_bytes_ = static_cast<int64_t>(row_bytes(tensor.view.dtype, static_cast<uint64_t>(n_cols_)));
        row_.resize(static_cast<size_t>(n_cols_));
    }
    explicit operator bool() const { return decode_ != nullptr; }
    std::span<const float> operator[](int64_t row) {
        decode_(data_ + row * row_bytes_, row_.data(), n_cols_);
        return row_;
    }

  private:
    const std::byte* data_;
    DecodeKernel decode_;
    int64_t n_cols_, row_bytes_ = 0;
    std::vector<float> row_;
};

TensorCheck check_tensor(const GgufTensor& tensor) {
    TensorCheck check{.tensor = &tensor, .sha256 = sha256_of(tensor.view.data, tensor.view.bytes())};
    RowReader rows(tensor);
    if (!rows) return check;
    check.is_decoded = true;
    check.least = std::numeric_limits<float>::infinity();
    check.most = -check.least;
    double squares = 0;
    const int64_t n_rows = tensor.view.shape.n_rows(), n_cols = tensor.view.shape.n_cols();
    for (int64_t r = 0; r < n_rows; ++r) {
        const std::span<const float> row = rows[r];
        for (int64_t c = 0; c < n_cols; ++c) {
            const float x = row[static_cast<size_t>(c)];
            if (!std::isfinite(x)) {
                if (check.n_not_finite++ == 0) check.first_bad = r * n_cols + c;
                continue;
            }
            check.least = std::min(check.least, x);
            check.most = std::max(check.most, x);
            squares += static_cast<double>(x) * static_cast<double>(x);
        }
    }
    const int64_t n_finite = n_rows * n_cols - check.n_not_finite;
    if (n_finite == 0) check.least = check.most = 0;
    check.rms = n_finite == 0 ? 0 : std::sqrt(squares / static_cast<double>(n_finite));
    return check;
}

void compare_values(TensorDifference& difference) {
    RowReader here(*difference.here), there(*difference.there);
    if (!here || !there) return;
    difference.is_compared = true;
    const int64_t n_rows = difference.here->view.shape.n_rows();
    double squares = 0, own_squares = 0;
    for (int64_t r = 0; r < n_rows; ++r) {
        const std::span<const float> a = here[r], b = there[r];
        for (size_t c = 0; c < a.size(); ++c) {
            own_squares += static_cast<double>(a[c]) * static_cast<double>(a[c]);
            if (a[c] == b[c]) continue;
            const double d = static_cast<double>(a[c]) - static_cast<double>(b[c]);
            ++difference.n_different;
            difference.max_difference = std::max(difference.max_difference, std::abs(d));
            squares += d * d;
        }
    }
    const auto n = static_cast<double>(std::max<int64_t>(1, difference.here->view.shape.n_values()));
    difference.rmse = std::sqrt(squares / n);
    difference.rms = std::sqrt(own_squares / n);
}

bool are_equal(const MetadataValue& a, const MetadataValue& b);

bool are_equal(const MetadataArray& a, const MetadataArray& b) {
    if (a.element_type != b.element_type || a.count != b.count) return false;
    if (a.element_type == MetadataType::string) return a.strings == b.strings;
    if (a.element_type != MetadataType::array)
        return a.count == 0 || std::memcmp(a.numbers, b.numbers, a.count * number_bytes(a.element_type)) == 0;
    return std::equal(a.arrays.begin(), a.arrays.end(), b.arrays.begin(), b.arrays.end(),
                      [](const MetadataArray& x, const MetadataArray& y) { return are_equal(x, y); });
}

bool are_equal(const MetadataValue& a, const MetadataValue& b) {
    if (a.index() != b.index()) return false;
    return std::visit(
        [&](const auto& x) {
            const auto& y = std::get<std::decay_t<decltype(x)>>(b);
            if constexpr (std::is_same_v<std::decay_t<decltype(x)>, MetadataArray>)
                return are_equal(x, y);
            else
                return x == y;
        },
        a);
}

/// Runs work(i) for all i on all threads; an exception of one of them is thrown here.
template <typename Work>
void for_all(ThreadPool& pool, size_t n, Work&& work) {
    std::exception_ptr error;
    std::mutex mutex;
    pool.for_each(static_cast<int64_t>(n), [&](int64_t i, int) noexcept {
        try {
            work(static_cast<size_t>(i));
        } catch (...) {
            const std::lock_guard lock(mutex);
            error = std::current_exception();
        }
    });
    if (error) std::rethrow_exception(error);
}

}  // namespace

std::vector<TensorCheck> check_tensors(const GgufFile& file, ThreadPool& pool) {
    std::vector<TensorCheck> checks(file.tensors().size());
    for_all(pool, checks.size(), [&](size_t i) { checks[i] = check_tensor(file.tensors()[i]); });
    return checks;
}

std::vector<TensorDifference> compare_tensors(const GgufFile& here, const GgufFile& there, ThreadPool& pool) {
    using Kind = TensorDifference::Kind;
    std::vector<TensorDifference> differences;
    for (const GgufTensor& tensor : here.tensors()) {
        const GgufTensor* other = there.find_tensor(tensor.name);
        TensorDifference difference{.name = std::string(tensor.name), .kind = Kind::only_here, .here = &tensor, .there = other};
        if (other) {
            const bool same_shape = tensor.view.shape == other->view.shape, same_format = tensor.view.dtype == other->view.dtype;
            if (same_shape && same_format && std::memcmp(tensor.view.data, other->view.data, static_cast<size_t>(tensor.view.bytes())) == 0)
                continue;
            difference.kind = !same_shape ? Kind::shape : !same_format ? Kind::format : Kind::values;
        }
        differences.push_back(std::move(difference));
    }
    for (const GgufTensor& tensor : there.tensors())
        if (!here.find_tensor(tensor.name))
            differences.push_back({.name = std::string(tensor.name), .kind = Kind::only_there, .there = &tensor});
    for_all(pool, differences.size(), [&](size_t i) {
        if (differences[i].kind == Kind::format || differences[i].kind == Kind::values) compare_values(differences[i]);
    });
    return differences;
}

std::vector<std::string> compare_keys(const GgufFile& here, const GgufFile& there) {
    std::vector<std::string> keys;
    for (const Metadata::Entry& entry : here.metadata().entries()) {
        const MetadataValue* other = there.metadata().find(entry.key);
        if (!other || !are_equal(entry.value, *other)) keys.emplace_back(entry.key);
    }
    for (const Metadata::Entry& entry : there.metadata().entries())
        if (!here.metadata().has(entry.key)) keys.emplace_back(entry.key);
    return keys;
}

}  // namespace quern
