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

Sampler::Sampler(const SamplingParams& params, std::span<const TokenId> never_sampled, const Tokenizer* tokenizer)
    : params_(params),
      tokenizer_(tokenizer),
      never_sampled_(never_sampled.begin(), never_sampled.end()),
      penalties_(params),
      dry_(params),
      mirostat_(params),
      seed_(params.seed ? *params.seed : random_seed()) {
    std::sort(never_sampled_.begin(), never_sampled_.end());
    if (tokenizer_ == nullptr || params_.min_tokens == 0) return;
    for (int32_t id = 0; id < tokenizer_->n_vocab(); ++id)
        if (tokenizer_->is_end_of_generation({id})) end_tokens_.push_back({id});
}

void Sampler::accept(TokenId token) {
    penalties_.accept(token);
    if (dry_.active()) dry_.accept(token, tokenizer_ != nullptr ? tokenizer_->token_bytes(token) : std::string());
}

double Sampler::next_unit() { return static_cast<double>(splitmix(seed_, n_draws_++) >> 11) * 0x1.0p-53; }

TokenId Sampler::first_allowed() const {
    int32_t id = 0;
    for (const TokenId token : never_sampled_)
        if (token.value == id) ++id;
    return {static_cast<size_t>(id) < logits_.size() ? id : 0};
}

void Sampler::forbid() {
    const auto forbid_all = [&](const std::vector<TokenId>& tokens) {
        for (const TokenId token : tokens)
            if (static_cast<size_t>(token.value) < logits_.size()) logits_[static_cast<size_t>(token.value)] = -infinity;
    };
    forbid_all(never_sampled_);
    if (n_sampled_ < params_.min_tokens) forbid_all(end_tokens_);
}

// Whether the likeliest token is sure to be chosen. Typical sampling and XTC may leave it out.
bool Sampler::is_greedy() const {
    const bool keeps_best = params_.typical_p >= 1.0f && params_.xtc_probability == 0.0f;
    const bool has_temperature = mirostat_.active() || std::find(params_.samplers.begin(), params_.samplers.end(),
                                                                 SamplerStage::temperature) != params_.samplers.end();
    return keeps_best && has_temperature && params_.temperature == 0.0f && params_.dynatemp_range == 0.0f;
}

// Penalties and DRY at the beginning work on the plain logits. Returns the first of the other stages.
size_t Sampler::run_logit_stages() {
    size_t at = 0;
    for (; at < params_.samplers.size(); ++at) {
        const SamplerStage stage = params_.samplers[at];
        if (stage == SamplerStage::top_n_sigma && !(params_.top_n_sigma > 0.0f)) continue;  // off
        if (stage != SamplerStage::penalties && stage != SamplerStage::dry) break;
        adjust(stage);
    }
    return at;
}

void Sampler::adjust(SamplerStage stage) {
    if (stage == SamplerStage::penalties) penalties_.apply(logits_);
    if (stage == SamplerStage::dry) dry_.apply(logits_);
}

void Sampler::run_stage(SamplerStage stage) {
    if (candidates_.empty()) return;
    if (stage == SamplerStage::penalties || stage == SamplerStage::dry) {  // after a filter: by way of the logits
        for (const Candidate& each : candidates_) logits_[static_cast<size_t>(each.token)] = each.logit;
        adjust(stage);
        for (Candidate& each : candidates_) each.logit = logits_[static_cast<size_t>(each.token)];
        std::erase_if(candidates_, [](const Candidate& each) { return !(each.logit > -infinity); });
        weighed_ = false;
    } else {
        filter(stage);
    }
}

void Sampler::filter(SamplerStage stage) {
    const bool needs_weights = stage != SamplerStage::top_k && stage != SamplerStage::top_n_sigma;
    if (needs_weights && !weighed_) {
        weigh(candidates_, 1.0f);
        weighed_ = true;
    }
    switch (stage) {
        case SamplerStage::top_n_sigma:
            return apply_top_n_sigma(candidates_, params_.top_n_sigma);
        case SamplerStage::top_k:
            if (params_.top_k > 0) apply_top_k(candidates_, params_.top_k);
            return;
        case SamplerStage::typical_p:
            weighed_ = params_.typical_p >= 1.0f;  // weights are relative to the likeliest, which may be gone
            return apply_typical(candidates_, params_.typical_p, scratch_);
        case SamplerStage::top_p:
            return apply_top_p(candidates_, params_.top_p, scratch_);
        case SamplerStage::min_p:
            return apply_min_p(candidates_, params_.min_p);
        case SamplerStage::xtc:
            if (params_.xtc_probability == 0.0f || next_unit() >= static_cast<double>(params_.xtc_probability)) return;
            weighed_ = false;
            return apply_xtc(candidates_, params_.xtc_threshold);
        default:
            return apply_temperature();
    }
}

// The last stage leaves the temperature to the draw; before others the logits are scaled.
void Sampler::apply_temperature() {
    temperature_ = dynamic_temperature(candidates_, params_);
    if (!mirostat_.active() && params_.samplers.back() == SamplerStage::temperature) return;
    if (temperature_ > 0.0f) {
        const float scale = std::min(1.0f / temperature_, std::numeric_limits<float>::max());
        for (Candidate& each : candidates_) each.logit = std::clamp(each.logit * scale, -3e38f, 3e38f);
        temperature_ = 1.0f;
    } else {
        apply_top_k(candidates_, 1);
    }
    weigh(candidates_, 1.0f);
    weighed_ = true;
}

TokenId Sampler::draw_one() {
    if (temperature_ == 0.0f || candidates_.size() == 1) return {std::min_element(candidates_.begin(), candidates_.end(), better)->token};
    if (!weighed_ || temperature_ != 1.0f) weigh(candidates_, temperature_);
    return draw(candidates_, 1.0f, next_unit());
}

TokenId Sampler::sample(std::span<const float> logits) {
    logits_.assign(logits.begin(), logits.end());
    apply_logit_bias(logits_, params_.logit_bias);
    size_t stage = run_logit_stages();
    forbid();
    ++n_sampled_;
    const std::optional<TokenId> best = likeliest(logits_);
    if (!best) return first_allowed();
    if (logits_[static_cast<size_t>(best->value)] == infinity) return *best;
    const auto& stages = params_.samplers;
    const bool cut_first = !mirostat_.active() && stage < stages.size() && stages[stage] == SamplerStage::top_k;
    const bool adjusts_later = std::any_of(stages.begin() + static_cast<std::ptrdiff_t>(stage), stages.end(),
                                           [](SamplerStage each) { return each == SamplerStage::penalties || each == SamplerStage::dry; });
    if (!adjusts_later && (is_greedy() || (cut_first && params_.top_k == 1))) return *best;
    fill_candidates(logits_, cut_first ? params_.top_k : 0, candidates_);
    weighed_ = false;
    temperature_ = 1.0f;
    if (mirostat_.active()) {
        weigh(candidates_, 1.0f);
        apply_temperature();
        mirostat_.apply(candidates_, scratch_);
        const TokenId token = draw_one();
        mirostat_.chosen(candidates_, token);
        return token;
    }
    for (; stage < stages.size(); ++stage) run_stage(stages[stage]);
    return candidates_.empty() ? *best : draw_one();
}

}  // namespace quern
