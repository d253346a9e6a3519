// A request on its way through the engine.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/output_channel.h"
#include "engine/page_pool.h"
#include "sampling/chain.h"

namespace quern {

/// Belongs to the engine thread once it is queued.
struct Sequence {
    using Clock = std::chrono::steady_clock;

    std::shared_ptr<OutputChannel> channel;
    Sampler sampler;
    std::vector<int32_t> tokens;  ///< prompt, then what was generated
    int64_t n_prompt = 0;
    int64_t n_limit = 0;              ///< finished when it has this many tokens: max_tokens or the window
    int64_t n_cached = 0;             ///< tokens[0, n_cached) have keys and values in the pages
    std::vector<int32_t> page_table;  ///< page of positions [64 i, 64 i + 64)
    int n_logprobs = -1;
    bool ignore_end = false;

    GenerationStats stats;
    Clock::time_point submitted, started, first_token;
    bool has_started = false;

    int64_t n_pending() const noexcept { return static_cast<int64_t>(tokens.size()) - n_cached; }
    int64_t n_generated() const noexcept { return static_cast<int64_t>(tokens.size()) - n_prompt; }
};

}  // namespace quern
