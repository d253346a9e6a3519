// What the engine tells about a request, as far as this engine tells it.
#pragma once

#include "engine/engine.h"

namespace quern {

/// Tokens of the prompt that were found in the prefix cache; 0 for an engine without one.
template <typename Stats>
int64_t cached_tokens_of(const Stats& stats) {
    if constexpr (requires { stats.n_cached_tokens; })
        return stats.n_cached_tokens;
    else
        return 0;
}

template <typename Params>
constexpr bool has_more_samplers = requires(Params params) {
    params.typical_p;
};

}  // namespace quern
