// A tensor in a checkpoint's file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor_view.h"

namespace quern {

/// Dense and row-major; the bytes are those of a mapped file.
struct SourceTensor {
    std::string name;
    std::string type;            ///< as the file spells it: "BF16", "HalfStorage"
    std::optional<DType> dtype;  ///< nothing: quern cannot read this type
    std::vector<int64_t> sizes;  ///< outermost first
    std::span<const std::byte> bytes;
};

/// Bytes of `n` values of that size, or nothing where the sizes are negative or their product is beyond any memory.
std::optional<uint64_t> dense_bytes(std::span<const int64_t> sizes, uint64_t bytes_each);
/// "[2, 3]"
std::string sizes_text(std::span<const int64_t> sizes);

}  // namespace quern
