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
    /// Starts n_threads - 1 workers. REQUIRES: n_threads >= 1.
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

    /// Calls work(item, thread) for every item in [0, n_items); free threads take the next item. `work` must not throw.
    template <typename Work>
    void for_each(int64_t n_items, Work&& work) {
        if (n_items <= 1) {
            for (int64_t item = 0; item < n_items; ++item) work(item, 0);
            return;
        }
        std::atomic<int64_t> next{0};
        run([&](int thread) noexcept {
            for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < n_items;) work(item, thread);
        });
    }

  private:
    using Trampoline = void (*)(void* context, int thread) noexcept;

    void run_on_all(Trampoline work, void* context);
    void serve(int thread);

    std::vector<std::thread> workers_;
    Trampoline work_ = nullptr;
    void* context_ = nullptr;
    alignas(64) std::atomic<uint32_t> round_{0};  // grows by one for each run()
    alignas(64) std::atomic<uint32_t> busy_{0};   // workers that have not finished this round
    alignas(64) std::atomic<bool> stopping_{false};
};

}  // namespace quern
