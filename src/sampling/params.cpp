#include "sampling/params.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace quern {
namespace {

struct StageName {
    const char* name;
    SamplerStage stage;
};

// The first name of a stage is the one that is written.
constexpr StageName stage_names[] = {
    {"penalties", SamplerStage::penalties},
    {"dry", SamplerStage::dry},
    {"top_n_sigma", SamplerStage::top_n_sigma},
    {"top_k", SamplerStage::top_k},
    {"typ_p", SamplerStage::typical_p},
    {"typical_p", SamplerStage::typical_p},
    {"typical", SamplerStage::typical_p},
    {"top_p", SamplerStage::top_p},
    {"min_p", SamplerStage::min_p},
    {"xtc", SamplerStage::xtc},
    {"temperature", SamplerStage::temperature},
    {"temp", SamplerStage::temperature},
};
constexpr size_t most_breakers = 64, longest_breaker = 256;

const StageName* find_stage(std::string_view name) {
    for (const StageName& each : stage_names)
        if (name == each.name) return &each;
    return nullptr;
}

SamplerStage stage_named(std::string_view name) {
    std::string readable(name);
    std::replace(readable.begin(), readable.end(), '-', '_');
    if (const StageName* found = find_stage(readable)) return found->stage;
    throw InvalidInput(concat("samplers: there is no \"", name.substr(0, 40), "\"; there are ", to_string(default_sampler_order())),
                       "samplers");
}

void check(bool good, const char* field, const char* rule, double value) {
    if (!good) throw InvalidInput(concat(field, " must be ", rule, ", not ", value), field);
}

}  // namespace

std::vector<SamplerStage> default_sampler_order() {
    return {SamplerStage::penalties, SamplerStage::dry,   SamplerStage::top_n_sigma, SamplerStage::top_k,      SamplerStage::typical_p,
            SamplerStage::top_p,     SamplerStage::min_p, SamplerStage::xtc,         SamplerStage::temperature};
}

std::vector<SamplerStage> parse_samplers(std::string_view names) {
    std::vector<SamplerStage> stages;
    while (!names.empty()) {
        const size_t end = std::min(names.find(';'), names.size());
        if (end > 0) stages.push_back(stage_named(names.substr(0, end)));
        names.remove_prefix(std::min(end + 1, names.size()));
        if (stages.size() > std::size(stage_names)) break;  // some stage is there twice
    }
    return stages;
}

std::string to_string(const std::vector<SamplerStage>& stages) {
    std::string text;
    for (const SamplerStage stage : stages)
        for (const StageName& each : stage_names) {
            if (each.stage != stage) continue;
            text += (text.empty() ? "" : ";") + std::string(each.name);
            break;
        }
    return text;
}

namespace {

void check_new_samplers(const SamplingParams& params) {
    const auto finite = [](float value) { return std::isfinite(value); };
    check(params.typical_p >= 0 && params.typical_p <= 1, "typical_p", "between 0 and 1", params.typical_p);
    check(finite(params.top_n_sigma), "top_n_sigma", "a number", params.top_n_sigma);
    check(params.xtc_probability >= 0 && params.xtc_probability <= 1, "xtc_probability", "between 0 and 1", params.xtc_probability);
    check(params.xtc_threshold >= 0 && params.xtc_threshold <= 1, "xtc_threshold", "between 0 and 1", params.xtc_threshold);
    check(finite(params.dynatemp_range) && params.dynatemp_range >= 0, "dynatemp_range", "a number of at least 0", params.dynatemp_range);
    check(finite(params.dynatemp_exponent) && params.dynatemp_exponent >= 0, "dynatemp_exponent", "a number of at least 0",
          params.dynatemp_exponent);
    check(params.mirostat >= 0 && params.mirostat <= 2, "mirostat", "0, 1 or 2", params.mirostat);
    check(finite(params.mirostat_tau) && params.mirostat_tau >= 0, "mirostat_tau", "a number of at least 0", params.mirostat_tau);
    check(params.mirostat_eta >= 0 && params.mirostat_eta <= 1, "mirostat_eta", "between 0 and 1", params.mirostat_eta);
    check(finite(params.dry_multiplier) && params.dry_multiplier >= 0, "dry_multiplier", "a number of at least 0", params.dry_multiplier);
    check(finite(params.dry_base) && params.dry_base >= 1, "dry_base", "a number of at least 1", params.dry_base);
    check(params.dry_allowed_length >= 0, "dry_allowed_length", "at least 0", params.dry_allowed_length);
    check(params.dry_penalty_last_n >= -1, "dry_penalty_last_n", "at least -1", params.dry_penalty_last_n);
    check(params.min_tokens >= 0, "min_tokens", "at least 0", static_cast<double>(params.min_tokens));
}

void check_lists(const SamplingParams& params) {
    check(params.dry_sequence_breakers.size() <= most_breakers, "dry_sequence_breakers", "at most 64 texts",
          static_cast<double>(params.dry_sequence_breakers.size()));
    for (const std::string& breaker : params.dry_sequence_breakers)
        check(!breaker.empty() && breaker.size() <= longest_breaker, "dry_sequence_breakers", "texts of 1 to 256 bytes",
              static_cast<double>(breaker.size()));
    std::vector<SamplerStage> stages = params.samplers;
    std::sort(stages.begin(), stages.end());
    if (std::adjacent_find(stages.begin(), stages.end()) != stages.end())
        throw InvalidInput("samplers must name each stage at most once", "samplers");
    for (const auto& [token, bias] : params.logit_bias) check(!std::isnan(bias), "logit_bias", "numbers", bias);
}

}  // namespace

void validate(const SamplingParams& params) {
    const auto finite = [](float value) { return std::isfinite(value); };
    check(finite(params.temperature) && params.temperature >= 0, "temperature", "a number of at least 0", params.temperature);
    check(params.top_k >= 0, "top_k", "at least 0", params.top_k);
    check(params.top_p >= 0 && params.top_p <= 1, "top_p", "between 0 and 1", params.top_p);
    check(params.min_p >= 0 && params.min_p <= 1, "min_p", "between 0 and 1", params.min_p);
    check(finite(params.repeat_penalty) && params.repeat_penalty > 0, "repeat_penalty", "a number above 0", params.repeat_penalty);
    check(params.repeat_last_n >= -1, "repeat_last_n", "at least -1", params.repeat_last_n);
    check(finite(params.presence_penalty), "presence_penalty", "a number", params.presence_penalty);
    check(finite(params.frequency_penalty), "frequency_penalty", "a number", params.frequency_penalty);
    check_new_samplers(params);
    check_lists(params);
}

}  // namespace quern
