// Slow work that is no generation, such as scoring a prompt: done one after the other on a thread of its own, so that no worker is held up.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "server/http/answer.h"

namespace quern {

/// One piece of work. Dropping it before its turn spares the work.
class BackgroundJob {
  public:
    /// @throws what the work threw. REQUIRES: is_done()
    void check() const;
    bool is_done() const;

  private:
    friend class BackgroundJobs;
    std::function<void()> work_;
    Waker wake_;
    mutable std::mutex mutex_;
    bool is_done_ = false;  // guarded by mutex_, like all below
    std::exception_ptr error_;
};

class BackgroundJobs {
  public:
    BackgroundJobs();
    ~BackgroundJobs();
    BackgroundJobs(const BackgroundJobs&) = delete;
    BackgroundJobs& operator=(const BackgroundJobs&) = delete;

    /// Queues `work`; `wake` is called when it is done. @throws ApiError  503 when too much waits
    std::shared_ptr<BackgroundJob> add(std::function<void()> work, Waker wake);

  private:
    void run();

    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<std::weak_ptr<BackgroundJob>> waiting_;  // guarded by mutex_, like is_stopping_
    bool is_stopping_ = false;
    std::thread thread_;  // last
};

}  // namespace quern
