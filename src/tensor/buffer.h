// Memory that quern owns: page-aligned, zeroed, in 2 MB pages where the system gives them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quern {

/// Movable owner of a block of host memory. Pages are taken from the system when first touched.
class Buffer {
  public:
    Buffer() = default;
    /// @throws DeviceError  when the system has no such block; names the size and the purpose
    Buffer(uint64_t bytes, const char* purpose);
    ~Buffer();
    Buffer(Buffer&& other) noexcept;
    Buffer& operator=(Buffer&& other) noexcept;

    std::byte* data() const noexcept { return data_; }
    uint64_t bytes() const noexcept { return bytes_; }

  private:
    std::byte* data_ = nullptr;
    uint64_t bytes_ = 0;
};

}  // namespace quern
