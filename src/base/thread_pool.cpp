#include "base/thread_pool.h"

#include <algorithm>
#include <system_error>

#include "base/error.h"

namespace quern {
namespace {

// Long enough to bridge the gap between two phases of a step (some microseconds) and the sampling between two steps;
// short enough that an idle or oversubscribed machine is left alone. One turn is about 40 cycles on x86.
constexpr int spin_turns = 4000;

inline void pause_cpu() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Returns once `value` differs from `old`.
void await_change(const std::atomic<uint32_t>& value, uint32_t old) noexcept {
    for (int turn = 0; turn < spin_turns; ++turn) {
        if (value.load(std::memory_order_acquire) != old) return;
        pause_cpu();
    }
    while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int n_threads) : shares_(static_cast<size_t>(std::max(1, n_threads))) {
    QUERN_CHECK(n_threads >= 1);
    workers_.reserve(static_cast<size_t>(n_threads - 1));
    try {
        for (int thread = 1; thread < n_threads; ++thread) workers_.emplace_back([this, thread] { serve(thread); });
    } catch (const std::system_error& error) {
        const size_t n_started = workers_.size() + 1;
        stop();
        throw DeviceError(concat("the system starts only ", n_started, " of ", n_threads, " threads (", error.what(), "): ask for fewer"));
    }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() noexcept {
    stopping_.store(true, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_on_all(Trampoline work, void* context) {
    if (workers_.empty()) return work(context, 0);
    work_ = work;
    context_ = context;
    busy_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    work(context, 0);
    for (uint32_t left; (left = busy_.load(std::memory_order_acquire)) != 0;) await_change(busy_, left);
}

void ThreadPool::serve(int thread) {
    uint32_t seen = 0;
    for (;;) {
        await_change(round_, seen);
        ++seen;
        if (stopping_.load(std::memory_order_relaxed)) return;
        work_(context_, thread);
        if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
    }
}

}  // namespace quern
