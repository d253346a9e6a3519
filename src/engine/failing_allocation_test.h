// Allocations that fail when a test wants it: operator new of test_engine.
#pragma once

#include <cstdint>

namespace quern::test {

/// Of the calling thread's allocations through operator new, lets `n_before` more succeed and the `n_failing` after those throw
/// std::bad_alloc.
void fail_allocations(int64_t n_before, int64_t n_failing);
/// Ends that, on every thread.
void allow_allocations();
/// Allocations that failed since the program began, on all threads.
int64_t n_failed_allocations();

}  // namespace quern::test
