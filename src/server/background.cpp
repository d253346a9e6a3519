#include "server/background.h"

#include "server/http/errors.h"

namespace quern {
namespace {

constexpr size_t max_waiting = 256;

}  // namespace

void BackgroundJob::check() const {
    const std::lock_guard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
}

bool BackgroundJob::is_done() const {
    const std::lock_guard lock(mutex_);
    return is_done_;
}

BackgroundJobs::BackgroundJobs() : thread_([this] { run(); }) {}

BackgroundJobs::~BackgroundJobs() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    arrived_.notify_all();
    thread_.join();
}

std::shared_ptr<BackgroundJob> BackgroundJobs::add(std::function<void()> work, Waker wake) {
    auto job = std::make_shared<BackgroundJob>();
    job->work_ = std::move(work);
    job->wake_ = std::move(wake);
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(waiting_, [](const auto& other) { return other.expired(); });
        if (waiting_.size() >= max_waiting)
            throw ApiError("too many requests of this kind are waiting already",
                           {.status = 503, .code = "overloaded", .headers = {{"Retry-After", "5"}}});
        waiting_.push_back(job);
    }
    arrived_.notify_one();
    return job;
}

void BackgroundJobs::run() {
    for (;;) {
        std::shared_ptr<BackgroundJob> job;
        {
            std::unique_lock lock(mutex_);
            arrived_.wait(lock, [&] { return is_stopping_ || !waiting_.empty(); });
            if (is_stopping_) return;
            job = waiting_.front().lock();
            waiting_.pop_front();
        }
        if (!job) continue;
        std::exception_ptr error;
        try {
            job->work_();
        } catch (...) {
            error = std::current_exception();
        }
        {
            const std::lock_guard lock(job->mutex_);
            job->error_ = error;
            job->is_done_ = true;
        }
        if (job->wake_) job->wake_();
    }
}

}  // namespace quern
