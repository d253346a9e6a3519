// Counts what operator new hands out, for the tests of memory use. Alone in its file, so that the compiler cannot inline one half of a
// pair.
#include <cstdlib>
#include <new>

#include "gguf/sample_file_test.h"

namespace {

thread_local size_t allocated = 0;

}  // namespace

void* operator new(size_t bytes) {
    allocated += bytes;
    if (void* memory = std::malloc(bytes ? bytes : 1)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

size_t quern::test::allocated_bytes() { return allocated; }
