#include "engine/engine_inbox.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace quern {

void EngineInbox::submit(std::unique_ptr<Sequence> sequence, bool goes_on) {
    {
        const std::lock_guard lock(mutex_);
        if (!failure_.empty()) throw InternalError(failure_);
        const int n_waiting = std::max(0, n_open_ - n_places_);
        if (!goes_on && n_open_ >= n_places_ + n_queue_)
            throw EngineBusy(concat(n_waiting, " requests are waiting already; try again later"));
        sequence->id = last_id_ + 1;
        mail_.sequences.push_back(std::move(sequence));
        ++last_id_;
        ++n_open_;
        ++stats_.n_requests;
    }
    rung_.notify_one();
}

void EngineInbox::ends_one() noexcept {
    const std::lock_guard lock(mutex_);
    --n_open_;
}

std::future<void> EngineInbox::run_between_steps(std::function<void()> work) {
    std::packaged_task<void()> job(std::move(work));
    std::future<void> done = job.get_future();
    {
        const std::lock_guard lock(mutex_);
        mail_.jobs.push_back(std::move(job));
    }
    rung_.notify_one();
    return done;
}

void EngineInbox::notice_cancel() noexcept {
    {
        const std::lock_guard lock(mutex_);
        mail_.has_cancelled = true;
    }
    rung_.notify_one();
}

void EngineInbox::stop() noexcept {
    {
        const std::lock_guard lock(mutex_);
        mail_.stops = true;
    }
    rung_.notify_one();
}

EngineStats EngineInbox::stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
}

std::string EngineInbox::failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

void EngineInbox::take(Mail& mail, bool waits) noexcept {
    std::unique_lock lock(mutex_);
    const auto has_mail = [&] { return !mail_.sequences.empty() || !mail_.jobs.empty() || mail_.has_cancelled || mail_.stops; };
    if (waits) rung_.wait(lock, has_mail);
    mail.sequences.swap(mail_.sequences);
    mail.jobs.swap(mail_.jobs);
    mail.has_cancelled = std::exchange(mail_.has_cancelled, false);
    mail.stops = mail_.stops;
    stats_.n_waiting += static_cast<int>(mail.sequences.size());
}

void EngineInbox::publish(EngineStats stats, bool keeps_list) noexcept {
    const std::lock_guard lock(mutex_);
    if (keeps_list) stats.sequences.swap(stats_.sequences);
    stats.n_requests = stats_.n_requests;
    std::swap(stats_, stats);
}

void EngineInbox::set_failure(std::string why) noexcept {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(why);
}

}  // namespace quern
