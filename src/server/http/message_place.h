// Memory for the one message that may be on its way to another thread: else one thread would allocate what another frees, for every token.
#pragma once

#include <cstddef>
#include <memory>

namespace quern {

/// Holds one message at a time; those who allocate from it take turns.
struct MessagePlace {
    alignas(std::max_align_t) std::byte bytes[128];
    bool is_taken = false;
};

/// Allocates in a MessagePlace, which outlives what is there. What does not fit, or comes second, is allocated as usual.
template <typename T>
struct MessageAllocator {
    using value_type = T;
    MessagePlace* place;

    explicit MessageAllocator(MessagePlace* own) : place(own) {}
    template <typename U>
    MessageAllocator(const MessageAllocator<U>& other) : place(other.place) {}
    friend bool operator==(const MessageAllocator& a, const MessageAllocator& b) { return a.place == b.place; }

    T* allocate(size_t n) {
        if (place->is_taken || n * sizeof(T) > sizeof place->bytes) return std::allocator<T>().allocate(n);
        place->is_taken = true;
        return reinterpret_cast<T*>(place->bytes);
    }
    void deallocate(T* at, size_t n) {
        if (static_cast<void*>(at) != place->bytes) return std::allocator<T>().deallocate(at, n);
        place->is_taken = false;
    }
};

}  // namespace quern
