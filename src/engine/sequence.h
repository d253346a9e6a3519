// A request on its way through the engine.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/local_evaluation.h"
#include "engine/output_channel.h"
#include "engine/page_tables.h"
#include "engine/prefix_cache.h"
#include "sampling/chain.h"

namespace quern {

/// Belongs to the engine thread once it is queued.
struct Sequence {
    using Clock = std::chrono::steady_clock;

    std::shared_ptr<OutputChannel> channel;
    Sampler sampler;
    std::vector<int32_t> tokens;  ///< prompt, then what was generated
    int64_t n_prompt = 0;
    int64_t n_limit = 0;     ///< finished when it has this many tokens: max_tokens or the window
    int64_t n_computed = 0;  ///< tokens[0, n_computed) have keys and values in the pages
    PageTables pages;
    std::vector<int32_t> draft;  ///< guesses at the tokens that follow, to be checked in the next step
    int draft_length = 4;        ///< how many are worth guessing, by how many were right
    int n_logprobs = -1;
    bool ignore_end = false;
    bool reuse_prefix = true;
    std::string cache_salt;
    std::vector<float> adapter_scales;
    std::shared_ptr<const SamplingParams> sampling;  ///< what the sampler was made of, for those who ask

    std::shared_ptr<TextReading> reading;  ///< of a text that is only read; nullptr: an answer is wanted

    /// What it waits for, while it waits: that the sequence with this id has so many pages of its prompt, or is gone. 0: nothing.
    struct Awaited {
        uint64_t id = 0;
        int64_t n_pages = 0;
    };
    Awaited awaited;

    PrefixCache::PrefixId prefix = 0;  ///< of the first n_prefix_pages pages, which are in the prefix cache
    int64_t n_prefix_pages = 0;

    uint64_t id = 0;
    GenerationStats stats;
    Clock::time_point submitted, started, first_token;
    bool has_started = false;

    int64_t n_pending() const noexcept { return static_cast<int64_t>(tokens.size()) - n_computed; }
    /// Rows of logits that its next n_tokens have, drafts apart.
    int64_t n_outputs(int64_t n_tokens) const noexcept {
        if (!reading) return n_tokens == n_pending() ? 1 : 0;
        return std::max<int64_t>(0, n_computed + n_tokens - std::max(reading->first_wanted, n_computed));
    }
    /// Prompts and generated tokens are computed by different kernels, also when a sequence is computed anew.
    bool in_prompt() const noexcept { return n_computed < n_prompt; }
    int64_t n_generated() const noexcept { return static_cast<int64_t>(tokens.size()) - n_prompt; }
};

}  // namespace quern
