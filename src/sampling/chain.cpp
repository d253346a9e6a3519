#include "sampling/chain.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <random>

#include "sampling/filters.h"

namespace quern {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

uint64_t random_seed() {
    std::random_device device;
    return static_cast<uint64_t>(device()) << 32 | device();
}

// SplitMix64: the n-th output of the generator with this seed. Source: Steele, Lea, Flood 2014.
uint64_t splitmix(uint64_t seed, uint64_t n) {
    uint64_t z = seed + (n + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

// The likeliest token, the lower id among equals; nothing when all are minus infinity or no numbers.
std::optional<TokenId> likeliest(std::span<const float> logits) {
    std::optional<TokenId> best;
    float limit = -infinity;
    for (size_t i = 0; i < logits.size(); ++i) {
        if (!(logits[i] > limit)) continue;
        limit = logits[i];
        best = TokenId{static_cast<int32_t>(i)};
    }
    return best;
}

}  // namespace

Sampler::Sampler(const SamplingParams& params, std::span<const TokenId> never_sampled)
    : params_(params),
      never_sampled_(never_sampled.begin(), never_sampled.end()),
      penalties_(params),
      seed_(params.seed ? *params.seed : random_seed()) {
    std::sort(never_sampled_.begin(), never_sampled_.end());
}

double Sampler::next_unit() { return static_cast<double>(splitmix(seed_, n_draws_++) >> 11) * 0x1.0p-53; }

TokenId Sampler::first_allowed() const {
    int32_t id = 0;
    for (const TokenId token : never_sampled_)
        if (token.value == id) ++id;
    return {static_cast<size_t>(id) < logits_.size() ? id : 0};
}

TokenId Sampler::sample(std::span<const float> logits) {
    logits_.assign(logits.begin(), logits.end());
    apply_logit_bias(logits_, params_.logit_bias);
    penalties_.apply(logits_);
    for (const TokenId token : never_sampled_)
        if (static_cast<size_t>(token.value) < logits_.size()) logits_[static_cast<size_t>(token.value)] = -infinity;
    const std::optional<TokenId> best = likeliest(logits_);
    if (!best) return first_allowed();
    const bool certain = logits_[static_cast<size_t>(best->value)] == infinity;
    if (params_.temperature == 0.0f || params_.top_k == 1 || certain) return *best;
    fill_candidates(logits_, params_.top_k, candidates_);
    weigh(candidates_, 1.0f);
    apply_top_p(candidates_, params_.top_p, scratch_);
    apply_min_p(candidates_, params_.min_p);
    return draw(candidates_, params_.temperature, next_unit());
}

}  // namespace quern
