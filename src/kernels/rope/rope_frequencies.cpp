// The angles of rotary embeddings and their context extensions.
// plain: base^(-2 i / n_dims). linear: divided by the factor. yarn: between the two, by how often pair i turns within the trained window:
// pairs that turn more than beta_fast times keep their frequency, below beta_slow they are divided, and cos and sin grow by 1 + 0.1
// ln(factor). Source: Peng et al. 2023, "YaRN", sections 3.2 to 3.4, with the bounds rounded outwards to whole pairs as most
// published implementations do.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/rope/rope.h"

namespace quern {
namespace {

/// Pairs up to `first` keep their frequency, from `last` on they are interpolated.
struct YarnRamp {
    double first, last;

    double kept_share(double pair) const { return 1.0 - std::clamp((pair - first) / std::max(0.001, last - first), 0.0, 1.0); }
};

/// The pair (a fraction) that turns `n_turns` times within the trained window.
double pair_of_turns(const RopeConfig& config, double n_turns) {
    const double turns = config.original_context / (n_turns * 2.0 * std::numbers::pi);
    return config.n_dims * std::log(turns) / (2.0 * std::log(static_cast<double>(config.base)));
}

YarnRamp yarn_ramp(const RopeConfig& config) {
    double first = pair_of_turns(config, config.yarn_beta_fast), last = pair_of_turns(config, config.yarn_beta_slow);
    if (config.yarn_whole_pairs) first = std::floor(first), last = std::ceil(last);
    return {std::max(0.0, first), std::min(config.n_dims - 1.0, last)};
}

double yarn_magnitude(const RopeConfig& config) {
    const bool grows = config.scaling == RopeScaling::yarn && config.yarn_ext_factor != 0.0f && config.factor > 1.0f;
    return config.yarn_attn_factor * (grows ? 1.0 + 0.1 * std::log(static_cast<double>(config.factor)) : 1.0);
}

}  // namespace

RopeFrequencies rope_frequencies(const RopeConfig& config, std::span<const float> freq_factors) {
    RopeFrequencies out;
    const bool yarn = config.scaling == RopeScaling::yarn;
    const YarnRamp ramp = yarn ? yarn_ramp(config) : YarnRamp{0, 0};
    const double stretch = config.scaling == RopeScaling::none ? 1.0 : static_cast<double>(config.factor);
    for (int i = 0; i < config.n_dims / 2; ++i) {
        const double trained = std::pow(static_cast<double>(config.base), -2.0 * i / config.n_dims);
        const double kept = yarn ? ramp.kept_share(i) * config.yarn_ext_factor : 0.0;
        double frequency = trained / stretch * (1.0 - kept) + trained * kept;
        if (static_cast<size_t>(i) < freq_factors.size()) frequency /= static_cast<double>(freq_factors[static_cast<size_t>(i)]);
        out.inverse.push_back(static_cast<float>(frequency));
    }
    out.magnitude = static_cast<float>(yarn_magnitude(config));
    return out;
}

void rope_angles(const RopeFrequencies& frequencies, int64_t position, float* out) noexcept {
    for (const float inverse : frequencies.inverse) {
        const double angle = static_cast<double>(position) * static_cast<double>(inverse);
        *out++ = static_cast<float>(std::cos(angle) * static_cast<double>(frequencies.magnitude));
        *out++ = static_cast<float>(std::sin(angle) * static_cast<double>(frequencies.magnitude));
    }
}

}  // namespace quern
