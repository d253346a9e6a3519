// A shape and a pointer: how kernels and graphs speak of arrays that somebody else owns.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "tensor/dtype.h"

namespace quern {

/// Up to four sizes, outermost first, so that the last one is contiguous: [n_rows, n_cols]. (GGUF files list them innermost first.)
class Shape {
  public:
    static constexpr int max_rank = 4;

    Shape() = default;
    /// REQUIRES: at most 4 sizes.
    Shape(std::initializer_list<int64_t> sizes) {
        for (const int64_t size : sizes) sizes_[static_cast<size_t>(rank_++)] = size;
    }

    int rank() const noexcept { return rank_; }
    int64_t operator[](int axis) const noexcept { return sizes_[static_cast<size_t>(axis)]; }
    /// The contiguous size. 1 for a scalar.
    int64_t n_cols() const noexcept { return rank_ == 0 ? 1 : sizes_[static_cast<size_t>(rank_ - 1)]; }
    /// The product of all other sizes.
    int64_t n_rows() const noexcept {
        int64_t n = 1;
        for (int axis = 0; axis + 1 < rank_; ++axis) n *= sizes_[static_cast<size_t>(axis)];
        return n;
    }
    int64_t n_values() const noexcept { return n_rows() * n_cols(); }
    void append(int64_t size) noexcept { sizes_[static_cast<size_t>(rank_++)] = size; }

    bool operator==(const Shape&) const = default;

  private:
    std::array<int64_t, max_rank> sizes_{};
    int rank_ = 0;
};

/// "[32000, 2048]"
std::string to_string(const Shape& shape);

/// Read-only, densely packed rows. Does not own; the owner (a mapped file, a Buffer) must outlive it.
struct TensorView {
    DType dtype = DType::f32;
    Shape shape;
    const std::byte* data = nullptr;

    uint64_t bytes() const { return static_cast<uint64_t>(shape.n_rows()) * row_bytes(dtype, static_cast<uint64_t>(shape.n_cols())); }
    const float* f32() const noexcept { return reinterpret_cast<const float*>(data); }
};

}  // namespace quern
