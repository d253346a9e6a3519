#include "base/thread_pool.h"

#include <doctest/doctest.h>

#include <numeric>

using quern::ThreadPool;

TEST_CASE("every thread of the team runs the work once per round") {
    for (const int n_threads : {1, 2, 5}) {
        ThreadPool pool(n_threads);
        std::vector<int> calls(static_cast<size_t>(n_threads));
        for (int round = 0; round < 1000; ++round) pool.run([&](int thread) noexcept { ++calls[static_cast<size_t>(thread)]; });
        for (const int n : calls) CHECK(n == 1000);
    }
}

TEST_CASE("for_each visits every item exactly once") {
    ThreadPool pool(3);
    for (const int64_t n_items : {0, 1, 2, 3, 1000}) {
        std::vector<int> visits(static_cast<size_t>(n_items));
        pool.for_each(n_items, [&](int64_t item, int) noexcept { ++visits[static_cast<size_t>(item)]; });
        CHECK(std::accumulate(visits.begin(), visits.end(), int64_t{0}) == n_items);
        for (const int n : visits) CHECK(n == 1);
    }
}

TEST_CASE("workers that fell asleep wake up for the next round") {
    ThreadPool pool(2);
    int sum = 0;
    for (int round = 0; round < 3; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        std::atomic<int> n{0};
        pool.run([&](int) noexcept { ++n; });
        sum += n;
    }
    CHECK(sum == 6);
}
