#include "sampling/params.h"

#include <cmath>

#include "base/error.h"

namespace quern {
namespace {

void check(bool good, const char* field, const char* rule, double value) {
    if (!good) throw InvalidInput(concat(field, " must be ", rule, ", not ", value), field);
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
    for (const auto& [token, bias] : params.logit_bias) check(!std::isnan(bias), "logit_bias", "numbers", bias);
}

}  // namespace quern
