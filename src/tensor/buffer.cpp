#include "tensor/buffer.h"

#include <sys/mman.h>

#include <utility>

#include "base/error.h"

namespace quern {

Buffer::Buffer(uint64_t bytes, const char* purpose) : bytes_(bytes) {
    if (bytes == 0) return;
    void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw DeviceError(concat("cannot get ", bytes, " bytes of memory for ", purpose));
    madvise(mapped, bytes, MADV_HUGEPAGE);  // a wish: fewer TLB misses where the system agrees
    data_ = static_cast<std::byte*>(mapped);
}

Buffer::~Buffer() {
    if (data_) munmap(data_, bytes_);
}

Buffer::Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

}  // namespace quern
