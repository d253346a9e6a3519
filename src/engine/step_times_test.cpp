#include "engine/step_times.h"

#include <doctest/doctest.h>

using namespace quern;

namespace {

StepTimes measured() {
    StepTimes times;
    times.answers_took(0.010);
    for (int64_t step = 0; step < 3; ++step) times.prompt_step_took(step, 100, 0.001 * static_cast<double>(step + 1));
    return times;
}

}  // namespace

TEST_CASE("prompts have as much time as a step of answers") { CHECK(measured().time_for_prompts() == doctest::Approx(0.010)); }

TEST_CASE("more prompts than answers have more time, within a bound") {
    StepTimes times = measured();
    times.set_load(1, 4);
    CHECK(times.time_for_prompts() == doctest::Approx(0.010));
    times.set_load(6, 4);
    CHECK(times.time_for_prompts() == doctest::Approx(0.015));
    times.set_load(15, 1);
    CHECK(times.time_for_prompts() == doctest::Approx(0.0175));
}

TEST_CASE("the largest chunk is one whose slowest step fits into the time for prompts") {
    StepTimes times = measured();
    CHECK(times.chunk_tokens(4096) == 333);
    times.set_load(25, 10);
    CHECK(times.chunk_tokens(4096) == 583);
    CHECK(times.chunk_tokens(128) == 128);
}

TEST_CASE("before anything was measured, chunks are small") { CHECK(StepTimes().chunk_tokens(512) == 64); }

TEST_CASE("few tokens take as long as the least chunk") {
    const StepTimes times = measured();
    CHECK(times.expected(2, 1) == times.expected(2, 32));
    CHECK(times.expected(2, 100) == doctest::Approx(0.003));
    CHECK(times.expected(9, 100) == 0);
}
