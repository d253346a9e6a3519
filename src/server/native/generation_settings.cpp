#include "server/native/generation_settings.h"

namespace quern {
namespace {

Json sampler_names(const std::vector<SamplerStage>& stages) {
    Json list = Json::array();
    const std::string names = to_string(stages);
    for (size_t begin = 0; begin < names.size();) {
        const size_t end = std::min(names.find(';', begin), names.size());
        list.push_back(names.substr(begin, end - begin));
        begin = end + 1;
    }
    return list;
}

Json bias_list(const std::vector<std::pair<TokenId, float>>& biases) {
    Json list = Json::array();
    for (const auto& [token, bias] : biases) {
        const bool is_ban = bias < -1e30f;  // minus infinity is no JSON
        list.push_back({{"token", token.value}, {"bias", is_ban ? Json(false) : Json(bias)}});
    }
    return list;
}

}  // namespace

Json sampling_settings(const SamplingParams& sampling) {
    return {{"seed", sampling.seed ? Json(*sampling.seed) : Json(-1)},
            {"temperature", sampling.temperature},
            {"dynatemp_range", sampling.dynatemp_range},
            {"dynatemp_exponent", sampling.dynatemp_exponent},
            {"top_k", sampling.top_k},
            {"top_p", sampling.top_p},
            {"min_p", sampling.min_p},
            {"top_n_sigma", sampling.top_n_sigma},
            {"typical_p", sampling.typical_p},
            {"xtc_probability", sampling.xtc_probability},
            {"xtc_threshold", sampling.xtc_threshold},
            {"repeat_last_n", sampling.repeat_last_n},
            {"repeat_penalty", sampling.repeat_penalty},
            {"presence_penalty", sampling.presence_penalty},
            {"frequency_penalty", sampling.frequency_penalty},
            {"dry_multiplier", sampling.dry_multiplier},
            {"dry_base", sampling.dry_base},
            {"dry_allowed_length", sampling.dry_allowed_length},
            {"dry_penalty_last_n", sampling.dry_penalty_last_n},
            {"dry_sequence_breakers", sampling.dry_sequence_breakers},
            {"mirostat", sampling.mirostat},
            {"mirostat_tau", sampling.mirostat_tau},
            {"mirostat_eta", sampling.mirostat_eta},
            {"min_tokens", sampling.min_tokens},
            {"logit_bias", bias_list(sampling.logit_bias)},
            {"samplers", sampler_names(sampling.samplers)}};
}

}  // namespace quern
