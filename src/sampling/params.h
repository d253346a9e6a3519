// How the next token is chosen from the logits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/token.h"

namespace quern {

/// A stage of the sampler, named as llama.cpp's --samplers names them.
enum class SamplerStage : uint8_t { penalties, dry, top_n_sigma, top_k, typical_p, top_p, min_p, xtc, temperature };

/// llama.cpp's order.
std::vector<SamplerStage> default_sampler_order();
/// Reads "penalties;dry;top_k;typ_p;top_p;min_p;xtc;temperature" (also typical_p, temp): each at most once; those left out do not run.
/// @throws InvalidInput  for a name that is none, naming those that are
std::vector<SamplerStage> parse_samplers(std::string_view names);
/// The names, between semicolons.
std::string to_string(const std::vector<SamplerStage>& stages);

/// The defaults change nothing: draw from the model's own distribution.
struct SamplingParams {
    float temperature = 1.0f;                           ///< 0: always the likeliest token
    int top_k = 0;                                      ///< choose among the k likeliest; 0: all
    float top_p = 1.0f;                                 ///< choose among the likeliest that make up this share
    float min_p = 0.0f;                                 ///< choose among those with at least this share of the likeliest's chance
    float repeat_penalty = 1.0f;                        ///< logits of recent tokens are divided by it (multiplied where negative)
    int repeat_last_n = 64;                             ///< how many tokens back the penalties look, prompt included; 0: none; -1: all
    float presence_penalty = 0.0f;                      ///< taken once from the logit of each recent token
    float frequency_penalty = 0.0f;                     ///< taken for each time it occurred
    std::optional<uint64_t> seed;                       ///< nothing: a different answer each time
    std::vector<std::pair<TokenId, float>> logit_bias;  ///< added to the logits

    float typical_p = 1.0f;          ///< choose among those whose surprise is closest to the expected one, up to this share; 1: off
    float top_n_sigma = -1.0f;       ///< choose among logits within so many standard deviations of the best; 0 and below: off
    float xtc_probability = 0.0f;    ///< with this chance, all but the last of the candidates above the threshold are left out
    float xtc_threshold = 0.1f;      ///< above 0.5: off
    float dynatemp_range = 0.0f;     ///< the temperature moves within +- this with the entropy; 0: off
    float dynatemp_exponent = 1.0f;  ///< how it moves
    int mirostat = 0;                ///< 1, 2: Mirostat keeps the surprise at tau, in place of the filters; 0: off
    float mirostat_tau = 5.0f;       ///< wanted surprise, in bits
    float mirostat_eta = 0.1f;       ///< how fast it is corrected
    float dry_multiplier = 0.0f;     ///< "don't repeat yourself": multiplier * base^(length - allowed) off what would prolong a repetition
    float dry_base = 1.75f;
    int dry_allowed_length = 2;   ///< repetitions up to this length are free
    int dry_penalty_last_n = -1;  ///< how many tokens back repetitions are looked for; 0: none; -1: all
    std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};  ///< texts that no repetition reaches across
    int64_t min_tokens = 0;                                                   ///< no end-of-generation token before so many tokens
    std::vector<SamplerStage> samplers = default_sampler_order();
};

/// @throws InvalidInput  naming the field that is not finite or out of range
void validate(const SamplingParams& params);

}  // namespace quern
