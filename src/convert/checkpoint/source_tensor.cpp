#include "convert/checkpoint/source_tensor.h"

#include "base/error.h"

namespace quern {

std::optional<uint64_t> dense_bytes(std::span<const int64_t> sizes, uint64_t bytes_each) {
    uint64_t bytes = bytes_each;
    for (const int64_t size : sizes)
        if (size < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes) || bytes >> 62) return std::nullopt;
    return bytes;
}

std::string sizes_text(std::span<const int64_t> sizes) {
    std::string text;
    for (const int64_t size : sizes) text += concat(text.empty() ? "" : ", ", size);
    return "[" + text + "]";
}

}  // namespace quern
