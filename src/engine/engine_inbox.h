// Between the engine's thread and all others: requests, jobs and wishes to stop go in; statistics come out.
#pragma once

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/sequence.h"

namespace quern {

/// Holds what callers have left since the engine's thread last looked, and what that thread says of itself. All methods are safe from any
/// thread; the last group is the loop's. A consumer's request keeps it, so that it can be cancelled when the engine is gone already.
/// Invariants: whoever leaves something here has it taken by the next take(), or the future of a job says that it never ran. Requests
/// count as waiting from submit() on: until publish() those that were taken still do, and have their place until ends_one().
class EngineInbox {
  public:
    /// @param n_places  most sequences that run at once  @param n_queue  most that wait beyond those
    EngineInbox(int n_places, int n_queue) : n_places_(n_places), n_queue_(n_queue) {}

    /// Numbers the request and queues it. @param goes_on  it is let in however many wait  @throws EngineBusy, InternalError (failure())
    void submit(std::unique_ptr<Sequence> sequence, bool goes_on);
    /// Has `work` done on the engine's thread, between two steps. Its future throws what `work` throws, or std::future_error when the
    /// engine stops before.
    std::future<void> run_between_steps(std::function<void()> work);
    /// Some request has been cancelled: the engine looks which before its next step.
    void notice_cancel() noexcept;
    /// The engine's thread ends after its step.
    void stop() noexcept;

    EngineStats stats() const;
    /// Why the engine's thread computes nothing any more; empty: it does.
    std::string failure() const;

    /// What was left.
    struct Mail {
        std::vector<std::unique_ptr<Sequence>> sequences;
        std::vector<std::packaged_task<void()>> jobs;
        bool has_cancelled = false;  ///< since the last look
        bool stops = false;
    };
    /// Moves everything into `mail`, whose lists are empty. @param waits  until there is something. Takes no memory.
    void take(Mail& mail, bool waits) noexcept;
    /// Replaces what stats() says, but for the count of requests. @param keeps_list  of the sequences
    void publish(EngineStats stats, bool keeps_list) noexcept;
    void set_failure(std::string why) noexcept;
    /// One of the requests is about to be told its end: there is room for another.
    void ends_one() noexcept;

  private:
    const int n_places_, n_queue_;
    mutable std::mutex mutex_;
    std::condition_variable rung_;
    Mail mail_;  // guarded by mutex_, like all below
    EngineStats stats_;
    std::string failure_;
    uint64_t last_id_ = 0;
    int n_open_ = 0;  // submitted and not ended
};

}  // namespace quern
