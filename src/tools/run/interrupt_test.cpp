#include "tools/run/interrupt.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <thread>

namespace quern {

TEST_CASE("Ctrl-C is noted, wakes who waits for input, and can be forgotten") {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    {
        InterruptGuard guard;
        CHECK(!guard.requested());
        std::raise(SIGINT);  // before the wait: it must not be lost
        CHECK(guard.requested());
        CHECK(!guard.wait_readable(ends[0]));
        guard.clear();
        CHECK(!guard.requested());

        std::jthread other([] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            std::raise(SIGINT);  // taken by this thread, not by the one that waits
        });
        CHECK(!guard.wait_readable(ends[0]));
        guard.clear();
    }
    close(ends[0]);
    close(ends[1]);
}

TEST_CASE("input and its end are told from Ctrl-C") {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const InterruptGuard guard;
    REQUIRE(write(ends[1], "x", 1) == 1);
    CHECK(guard.wait_readable(ends[0]));
    char byte;
    CHECK(read(ends[0], &byte, 1) == 1);
    close(ends[1]);
    CHECK(guard.wait_readable(ends[0]));
    close(ends[0]);
}

}  // namespace quern
