// Ranges are those of OpenAI's API; the fields that it does not have are those of llama.cpp's and llama-cpp-python's servers.
#include "server/openai/generation_fields.h"

#include <charconv>

namespace quern {
namespace {

constexpr double any_int = 9223372036854775808.0;  // 2^63
constexpr double any_int32 = 2147483647;
constexpr size_t max_stops = 16;
constexpr size_t max_stop_bytes = 1024;
constexpr size_t max_biases = 4096;

using enum FieldKind;

constexpr FieldRule rules[] = {
    {"model", text},
    {"temperature", number, 0, 2},
    {"top_p", number, 0, 1},
    {"top_k", integer, -1, any_int32},
    {"min_p", number, 0, 1},
    {"presence_penalty", number, -2, 2},
    {"frequency_penalty", number, -2, 2},
    {"repeat_penalty", number, 0.01, 100},
    {"repetition_penalty", number, 0.01, 100},
    {"repeat_last_n", integer, -1, any_int32},
    {"seed", integer, -any_int, any_int},
    {"max_tokens", integer, 0, any_int32},
    {"max_completion_tokens", integer, 0, any_int32},
    {"n", integer, 1, 128},
    {"stop", any},
    {"stream", boolean},
    {"stream_options", object},
    {"logit_bias", object},
    {"ignore_eos", boolean},

    {"user", ignored},
    {"metadata", ignored},
    {"store", ignored},
    {"service_tier", ignored},
    {"safety_identifier", ignored},
    {"prompt_cache_key", ignored},
    {"cache_prompt", ignored},

    {"min_tokens", refused, 0, 0, "[0]"},
    {"logit_bias_type", refused, 0, 0, R"(["input_ids"])"},
    {"grammar", refused, 0, 0, R"([""])"},
    {"json_schema", refused},
    {"guided_json", refused},
    {"guided_regex", refused},
    {"guided_grammar", refused},
    {"guided_choice", refused},
    {"structured_outputs", refused},
    {"typical_p", refused, 0, 0, "[1]"},
    {"tfs_z", refused, 0, 0, "[1]"},
    {"mirostat", refused, 0, 0, "[0]"},
    {"mirostat_mode", refused, 0, 0, "[0]"},
    {"dry_multiplier", refused, 0, 0, "[0]"},
    {"xtc_probability", refused, 0, 0, "[0]"},
    {"dynatemp_range", refused, 0, 0, "[0]"},
    {"top_n_sigma", refused, 0, 0, "[-1, 0]"},
    {"use_beam_search", refused, 0, 0, "[false]"},
    {"stop_token_ids", refused, 0, 0, "[[]]"},
    {"include_stop_str_in_output", refused, 0, 0, "[false]"},
    {"skip_special_tokens", refused, 0, 0, "[true]"},
    {"truncate_prompt_tokens", refused},
    {"prompt_logprobs", refused, 0, 0, "[false]"},
    {"lora", refused, 0, 0, "[[]]"},
};

std::vector<std::string> read_stops(const RequestFields& fields) {
    const Json* value = fields.find("stop");
    if (!value) return {};
    if (!value->is_string() && !value->is_array()) refuse_type("stop", "a string or an array of strings", *value);
    const Json list = value->is_string() ? Json::array({*value}) : *value;
    if (list.size() > max_stops) refuse_value("stop", concat("has ", list.size(), " strings, and at most ", max_stops, " are possible"));
    std::vector<std::string> stops;
    for (const Json& each : list) {
        if (!each.is_string()) refuse_type("stop", "a string or an array of strings", each);
        const auto& stop = each.get_ref<const std::string&>();
        if (stop.empty()) refuse_value("stop", "a stop string is empty");
        if (stop.size() > max_stop_bytes) refuse_value("stop", concat("a stop string is longer than ", max_stop_bytes, " bytes"));
        stops.push_back(stop);
    }
    return stops;
}

std::vector<std::pair<TokenId, float>> read_logit_bias(const RequestFields& fields, int64_t n_vocab) {
    const Json* value = fields.find("logit_bias");
    if (!value) return {};
    if (value->size() > max_biases) refuse_value("logit_bias", concat("has more than ", max_biases, " entries"));
    std::vector<std::pair<TokenId, float>> biases;
    for (const auto& [key, bias] : value->items()) {
        int32_t id = -1;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= n_vocab)
            refuse_value("logit_bias", concat("its keys are token ids from 0 to ", n_vocab - 1, ", as strings"));
        if (!bias.is_number()) refuse_type("logit_bias", "numbers as values", bias);
        const auto number = bias.get<double>();
        if (number < -100 || number > 100) refuse_value("logit_bias", "its values must be from -100 to 100");
        biases.emplace_back(TokenId{id}, static_cast<float>(number));
    }
    return biases;
}

bool read_include_usage(const RequestFields& fields, bool stream) {
    const Json* options = fields.find("stream_options");
    if (!options) return false;
    if (!stream) refuse_value("stream_options", "is only possible together with \"stream\": true");
    constexpr FieldRule option_rules[] = {{"include_usage", boolean}};
    try {
        return RequestFields(*options, {option_rules}).flag("include_usage", false);
    } catch (const Error&) {
        refuse_type("stream_options.include_usage", "a boolean", options->at("include_usage"));
    }
}

SamplingParams read_sampling(const RequestFields& fields, int64_t n_vocab) {
    SamplingParams sampling;
    const auto read = [](std::optional<double> value, float& target) {
        if (value) target = static_cast<float>(*value);
    };
    read(fields.number("temperature"), sampling.temperature);
    read(fields.number("top_p"), sampling.top_p);
    read(fields.number("min_p"), sampling.min_p);
    read(fields.number("presence_penalty"), sampling.presence_penalty);
    read(fields.number("frequency_penalty"), sampling.frequency_penalty);
    read(fields.number("repeat_penalty", "repetition_penalty"), sampling.repeat_penalty);
    sampling.top_k = static_cast<int>(std::max<int64_t>(0, fields.integer("top_k").value_or(0)));
    sampling.repeat_last_n = static_cast<int>(fields.integer("repeat_last_n").value_or(sampling.repeat_last_n));
    const auto seed = fields.integer("seed");
    if (seed && *seed != -1) sampling.seed = static_cast<uint64_t>(*seed);  // -1 asks llama.cpp's server for a new one
    sampling.logit_bias = read_logit_bias(fields, n_vocab);
    return sampling;
}

}  // namespace

std::span<const FieldRule> generation_field_rules() { return rules; }

GenerationFields read_generation_fields(const RequestFields& fields, const Engine& engine) {
    GenerationFields out;
    out.request.sampling = read_sampling(fields, engine.info().n_vocab);
    out.request.max_tokens = fields.integer("max_tokens", "max_completion_tokens");
    out.request.stop = read_stops(fields);
    out.request.ignore_end = fields.flag("ignore_eos", false);
    out.n_choices = static_cast<int>(fields.integer("n").value_or(1));
    out.stream = fields.flag("stream", false);
    out.include_usage = read_include_usage(fields, out.stream);
    return out;
}

SamplingParams sampling_of_choice(const SamplingParams& sampling, int i) {
    SamplingParams own = sampling;
    if (own.seed) own.seed = *own.seed + static_cast<uint64_t>(i);
    return own;
}

}  // namespace quern
