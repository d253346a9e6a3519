// A temperature that rises with the entropy of the choice. Source: the "dynatemp" samplers of llama.cpp and KoboldCpp (kalomaze 2023).
#include <algorithm>
#include <cmath>

#include "sampling/filters.h"

namespace quern {

float dynamic_temperature(std::span<const Candidate> candidates, const SamplingParams& params) {
    if (!(params.dynatemp_range > 0.0f)) return params.temperature;
    const double least = std::max(0.0, static_cast<double>(params.temperature) - static_cast<double>(params.dynatemp_range));
    const double most = static_cast<double>(params.temperature) + static_cast<double>(params.dynatemp_range);
    if (candidates.size() < 2) return static_cast<float>(least);
    const double share = std::clamp(entropy(candidates) / std::log(static_cast<double>(candidates.size())), 0.0, 1.0);
    return static_cast<float>(least + (most - least) * std::pow(share, static_cast<double>(params.dynatemp_exponent)));
}

}  // namespace quern
