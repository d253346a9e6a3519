// Alone in its file, so that the compiler cannot inline one half of a pair.
#include "engine/failing_allocation_test.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

struct Plan {
    int64_t round = 0, n_before = 0, n_failing = 0;
};
thread_local Plan plan;
std::atomic<int64_t> current_round{1}, n_failed{0};  // plans of earlier rounds hold no longer

bool is_to_fail() {
    if (plan.n_failing == 0 || plan.round != current_round.load(std::memory_order_relaxed)) return false;
    if (plan.n_before > 0) {
        --plan.n_before;
        return false;
    }
    --plan.n_failing;
    ++n_failed;
    return true;
}

}  // namespace

void* operator new(size_t n_bytes) {
    if (!is_to_fail())
        if (void* memory = std::malloc(n_bytes == 0 ? 1 : n_bytes)) return memory;
    throw std::bad_alloc();
}
void* operator new(size_t n_bytes, const std::nothrow_t&) noexcept {
    return is_to_fail() ? nullptr : std::malloc(n_bytes == 0 ? 1 : n_bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

void quern::test::fail_allocations(int64_t n_before, int64_t n_failing) { plan = {current_round, n_before, n_failing}; }
void quern::test::allow_allocations() { ++current_round; }
int64_t quern::test::n_failed_allocations() { return n_failed; }
