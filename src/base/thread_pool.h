// A fixed team of threads that run one function together. Waiting threads spin briefly, then sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace quern {

/// The caller of run() is thread 0 of the team. One run() at a time, always from the same thread.
class ThreadPool {
  public:
    /// Starts n_threads - 1 workers. REQUIRES: n_threads >= 1. @throws DeviceError  when the system refuses a thread
    explicit ThreadPool(int n_threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int n_threads() const noexcept { return static_cast<int>(workers_.size()) + 1; }

    /// Calls work(thread) once on each thread and returns when all are done. `work` must not throw.
    template <typename Work>
    void run(Work&& work) {
        static_assert(std::is_nothrow_invocable_v<Work&, int>, "an exception cannot cross threads");
        run_on_all([](void* context, int thread) noexcept { (*static_cast<std::remove_reference_t<Work>*>(context))(thread); }, &work);
    }

    /// Calls work(item, thread) for every item in [0, n_items). Each thread goes through a share of neighbouring items, for memory is read
    /// fastest in order, and then takes what others have left of theirs. `work` must not throw.
    template <typename Work>
    void for_each(int64_t n_items, Work&& work) {
        if (n_items <= 1) {
            for (int64_t item = 0; item < n_items; ++item) work(item, 0);
            return;
        }
        const int64_t n_shares = n_threads();
        for (int64_t i = 0; i < n_shares; ++i)
            shares_[static_cast<size_t>(i)].next.store(n_items * i / n_shares, std::memory_order_relaxed);
        run([&](int thread) noexcept {
            for (int64_t turn = 0; turn < n_shares; ++turn) {
                const int64_t i = (thread + turn) % n_shares, end = n_items * (i + 1) / n_shares;
                std::atomic<int64_t>& next = shares_[static_cast<size_t>(i)].next;
                if (next.load(std::memory_order_relaxed) >= end) continue;  // leave the line to those who still write it
                for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < end;) work(item, thread);
            }
        });
    }

  private:
    using Trampoline = void (*)(void* context, int thread) noexcept;

    /// What for_each() has not yet handed out of one thread's items.
    struct alignas(64) Share {
        std::atomic<int64_t> next{0};
    };

    void run_on_all(Trampoline work, void* context);
    void serve(int thread);
    void stop() noexcept;

    std::vector<Share> shares_;  // one for each thread
    std::vector<std::thread> workers_;
    Trampoline work_ = nullptr;
    void* context_ = nullptr;
    alignas(64) std::atomic<uint32_t> round_{0};  // grows by one for each run()
    alignas(64) std::atomic<uint32_t> busy_{0};   // workers that have not finished this round
    alignas(64) std::atomic<bool> stopping_{false};
};

}  // namespace quern
