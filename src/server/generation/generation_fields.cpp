// Ranges are those of OpenAI's API; the fields that it does not have are those of llama.cpp's and llama-cpp-python's servers.
#include "server/generation/generation_fields.h"

#include <charconv>
#include <limits>
#include <type_traits>

#include "server/generation/adapter_scales.h"

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
    {"max_tokens", integer, -1, any_int32},
    {"max_completion_tokens", integer, -1, any_int32},
    {"n_predict", integer, -2, any_int32},
    {"n", integer, 1, 128},
    {"n_cmpl", integer, 1, 128},
    {"n_probs", integer, 0, 20},
    {"stop", any},
    {"stream", boolean},
    {"stream_options", object},
    {"logit_bias", any},
    {"logit_bias_type", text},
    {"ignore_eos", boolean},

    {"user", ignored},
    {"metadata", ignored},
    {"store", ignored},
    {"service_tier", ignored},
    {"safety_identifier", ignored},
    {"prompt_cache_key", ignored},
    {"cache_prompt", boolean},
    {"cache_salt", text},
    {"lora", any},
    {"timings_per_token", boolean},
    {"return_progress", boolean},
    {"id_slot", integer, -1, any_int32},
    {"n_keep", integer, -1, any_int32},
    {"n_discard", integer, 0, any_int32},
    {"n_cache_reuse", integer, 0, any_int32},

    {"min_keep", refused, 0, 0, "[0]"},
    {"n_indent", refused, 0, 0, "[0]"},
    {"t_max_predict_ms", integer, -1, any_int32},
    {"post_sampling_probs", refused, 0, 0, "[false]"},
    {"adaptive_target", refused, 0, 0, "[-1]"},

    {"grammar", refused, 0, 0, R"([""])"},
    {"json_schema", refused},
    {"guided_json", refused},
    {"guided_regex", refused},
    {"guided_grammar", refused},
    {"guided_choice", refused},
    {"structured_outputs", refused},
    {"tfs_z", refused, 0, 0, "[1]"},
    {"top_a", refused, 0, 0, "[0]"},
    {"use_beam_search", refused, 0, 0, "[false]"},
    {"stop_token_ids", refused, 0, 0, "[[]]"},
    {"include_stop_str_in_output", refused, 0, 0, "[false]"},
    {"skip_special_tokens", refused, 0, 0, "[true]"},
    {"truncate_prompt_tokens", refused},
    {"prompt_logprobs", refused, 0, 0, "[false]"},
};

constexpr FieldRule sampler_rules[] = {
    {"min_tokens", integer, 0, any_int32},
    {"typical_p", number, 0, 1},
    {"top_n_sigma", number, -1, 100},
    {"xtc_probability", number, 0, 1},
    {"xtc_threshold", number, 0, 1},
    {"dynatemp_range", number, 0, 10},
    {"dynatemp_exponent", number, 0, 10},
    {"mirostat", integer, 0, 2},
    {"mirostat_mode", integer, 0, 2},
    {"mirostat_tau", number, 0, 100},
    {"mirostat_eta", number, 0, 1},
    {"dry_multiplier", number, 0, 100},
    {"dry_base", number, 1, 100},
    {"dry_allowed_length", integer, 0, any_int32},
    {"dry_penalty_last_n", integer, -1, any_int32},
    {"dry_sequence_breakers", any},
    {"samplers", any},
};

/// The forms of logit_bias: {"ID": bias} as OpenAI has it; with text in place of ids, and as [[id or text, bias or false], ...], as others
/// do.
class BiasReader {
  public:
    BiasReader(const Tokenizer& tokenizer, int64_t n_vocab, bool keys_are_text)
        : tokenizer_(tokenizer), n_vocab_(n_vocab), keys_are_text_(keys_are_text) {}

    void read(const Json& value) {
        if (!value.is_object() && !value.is_array()) refuse_type("logit_bias", "an object", value);
        if (value.size() > max_biases) refuse_value("logit_bias", concat("has more than ", max_biases, " entries"));
        if (value.is_object())
            for (const auto& [key, bias] : value.items()) keys_are_text_ ? add_text(key, bias) : add(parse_id(key), bias);
        else
            for (const Json& pair : value) read_pair(pair);
    }

    std::vector<std::pair<TokenId, float>> biases;

  private:
    [[noreturn]] void refuse_key() const {
        refuse_value("logit_bias", concat("its keys are token ids from 0 to ", n_vocab_ - 1, ", as strings"));
    }

    int64_t parse_id(const std::string& key) const {
        int32_t id = -1;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (error != std::errc() || end != key.data() + key.size()) refuse_key();
        return id;
    }

    void read_pair(const Json& pair) {
        if (!pair.is_array() || pair.size() != 2) refuse_value("logit_bias", "an array holds pairs of a token and a bias");
        if (pair[0].is_string()) return add_text(pair[0].get_ref<const std::string&>(), pair[1]);
        add(integer_value("logit_bias", pair[0]), pair[1]);
    }

    void add_text(const std::string& text, const Json& bias) {
        for (const TokenId token : tokenizer_.tokenize(text, {.add_special = false})) add(token.value, bias);
        if (biases.size() > max_biases) refuse_value("logit_bias", concat("names more than ", max_biases, " tokens"));
    }

    void add(int64_t id, const Json& bias) {
        if (id < 0 || id >= n_vocab_) refuse_key();
        if (bias.is_boolean() && !bias.get<bool>()) {
            biases.emplace_back(TokenId{static_cast<int32_t>(id)}, -std::numeric_limits<float>::infinity());
            return;
        }
        if (!bias.is_number()) refuse_type("logit_bias", "numbers as values", bias);
        const auto number = bias.get<double>();
        if (!(number >= -100 && number <= 100)) refuse_value("logit_bias", "its values must be from -100 to 100");
        biases.emplace_back(TokenId{static_cast<int32_t>(id)}, static_cast<float>(number));
    }

    const Tokenizer& tokenizer_;
    const int64_t n_vocab_;
    const bool keys_are_text_;
};

std::vector<std::pair<TokenId, float>> read_logit_bias(const RequestFields& fields, const Engine& engine) {
    const std::string type = fields.text("logit_bias_type").value_or("input_ids");
    if (type != "input_ids" && type != "tokens") refuse_value("logit_bias_type", "must be input_ids or tokens");
    const Json* value = fields.find("logit_bias");
    if (!value) return {};
    BiasReader reader(engine.tokenizer(), engine.info().n_vocab, type == "tokens");
    reader.read(*value);
    return std::move(reader.biases);
}

std::vector<std::string> read_texts(const char* name, const Json& value) {
    if (!value.is_array()) refuse_type(name, "an array of strings", value);
    if (value.size() > max_stops) refuse_value(name, concat("has more than ", max_stops, " strings"));
    std::vector<std::string> texts;
    for (const Json& each : value) {
        if (!each.is_string()) refuse_type(name, "an array of strings", each);
        texts.push_back(each.get<std::string>());
    }
    return texts;
}

void read_float(const RequestFields& fields, const char* name, float& target) {
    if (const auto value = fields.number(name)) target = static_cast<float>(*value);
}

void read_int(const RequestFields& fields, const char* name, int& target) {
    if (const auto value = fields.integer(name)) target = static_cast<int>(*value);
}

void read_samplers(const RequestFields& fields, SamplingParams& params) {
    read_float(fields, "typical_p", params.typical_p);
    read_float(fields, "top_n_sigma", params.top_n_sigma);
    read_float(fields, "xtc_probability", params.xtc_probability);
    read_float(fields, "xtc_threshold", params.xtc_threshold);
    read_float(fields, "dynatemp_range", params.dynatemp_range);
    read_float(fields, "dynatemp_exponent", params.dynatemp_exponent);
    params.mirostat = static_cast<int>(fields.integer("mirostat", "mirostat_mode").value_or(params.mirostat));
    read_float(fields, "mirostat_tau", params.mirostat_tau);
    read_float(fields, "mirostat_eta", params.mirostat_eta);
    read_float(fields, "dry_multiplier", params.dry_multiplier);
    read_float(fields, "dry_base", params.dry_base);
    read_int(fields, "dry_allowed_length", params.dry_allowed_length);
    read_int(fields, "dry_penalty_last_n", params.dry_penalty_last_n);
    params.min_tokens = fields.integer("min_tokens").value_or(params.min_tokens);
    if (const Json* breakers = fields.find("dry_sequence_breakers"))
        params.dry_sequence_breakers = read_texts("dry_sequence_breakers", *breakers);
    if (const Json* samplers = fields.find("samplers")) {
        std::string names;
        if (samplers->is_string())
            names = samplers->get<std::string>();
        else
            for (const std::string& name : read_texts("samplers", *samplers)) names += (names.empty() ? "" : ";") + name;
        params.samplers = parse_samplers(names);
    }
}

void read_cache(const RequestFields& fields, const Engine& engine, Request& request) {
    request.reuse_prefix = fields.flag("cache_prompt", true);
    request.cache_salt = fields.text("cache_salt").value_or("");
    if (const Json* adapters = fields.find("lora")) request.adapter_scales = read_adapter_scales("lora", *adapters, engine);
}

bool read_include_usage(const RequestFields& fields, bool stream) {
    const Json* options = fields.find("stream_options");
    if (!options) return false;
    if (!stream) refuse_value("stream_options", "is only possible together with \"stream\": true");
    constexpr FieldRule option_rules[] = {{"include_usage", boolean}};
    try {
        return RequestFields(*options, {option_rules}, RequestFields::Unknown::ignored).flag("include_usage", false);
    } catch (const Error&) {
        refuse_type("stream_options.include_usage", "a boolean", options->at("include_usage"));
    }
}

SamplingParams read_sampling(const RequestFields& fields, const Engine& engine) {
    SamplingParams sampling;
    read_float(fields, "temperature", sampling.temperature);
    read_float(fields, "top_p", sampling.top_p);
    read_float(fields, "min_p", sampling.min_p);
    read_float(fields, "presence_penalty", sampling.presence_penalty);
    read_float(fields, "frequency_penalty", sampling.frequency_penalty);
    if (const auto penalty = fields.number("repeat_penalty", "repetition_penalty")) sampling.repeat_penalty = static_cast<float>(*penalty);
    sampling.top_k = static_cast<int>(std::max<int64_t>(0, fields.integer("top_k").value_or(0)));
    sampling.repeat_last_n =
        static_cast<int>(fields.integer("repeat_last_n").value_or(engine.info().repeat_last_n.value_or(sampling.repeat_last_n)));
    const auto seed = fields.integer("seed");
    if (!seed) sampling.seed = engine.info().seed;
    if (seed && *seed != -1) sampling.seed = static_cast<uint64_t>(*seed);  // -1 asks llama.cpp's server for a new one
    sampling.logit_bias = read_logit_bias(fields, engine);
    read_samplers(fields, sampling);
    return sampling;
}

}  // namespace

std::span<const FieldRule> generation_field_rules() { return rules; }

std::span<const FieldRule> sampler_field_rules() { return sampler_rules; }

std::vector<std::string> read_stops(const Json& value, const char* field, bool may_be_one) {
    const char* const wanted = may_be_one ? "a string or an array of strings" : "an array of strings";
    if (!value.is_array() && !(may_be_one && value.is_string())) refuse_type(field, wanted, value);
    const Json list = value.is_string() ? Json::array({value}) : value;
    if (list.size() > max_stops) refuse_value(field, concat("has ", list.size(), " strings, and at most ", max_stops, " are possible"));
    std::vector<std::string> stops;
    for (const Json& each : list) {
        if (!each.is_string()) refuse_type(field, wanted, each);
        const auto& stop = each.get_ref<const std::string&>();
        if (stop.empty()) refuse_value(field, "a stop string is empty");
        if (stop.size() > max_stop_bytes) refuse_value(field, concat("a stop string is longer than ", max_stop_bytes, " bytes"));
        stops.push_back(stop);
    }
    return stops;
}

GenerationFields read_generation_fields(const RequestFields& fields, const Engine& engine) {
    GenerationFields out;
    out.request.sampling = read_sampling(fields, engine);
    read_cache(fields, engine, out.request);
    out.request.max_tokens = fields.integer("max_tokens", "max_completion_tokens");
    if (!out.request.max_tokens) out.request.max_tokens = fields.integer("n_predict");  // llama.cpp's name, on all of its routes
    if (out.request.max_tokens == -2) out.request.max_tokens = -1;
    out.until_full = out.request.max_tokens == -1;
    if (out.until_full) out.request.max_tokens.reset();
    if (out.request.max_tokens && out.request.sampling.min_tokens > *out.request.max_tokens)
        refuse_value("min_tokens",
                     concat("is ", out.request.sampling.min_tokens, ", and at most ", *out.request.max_tokens, " tokens are asked for"));
    if (const Json* stops = fields.find("stop")) out.request.stop = read_stops(*stops, "stop", true);
    out.request.line_time = std::chrono::milliseconds(std::max<int64_t>(0, fields.integer("t_max_predict_ms").value_or(0)));
    out.request.ignore_end = fields.flag("ignore_eos", false);
    out.n_choices = static_cast<int>(fields.integer("n", "n_cmpl").value_or(1));
    out.n_probs = static_cast<int>(fields.integer("n_probs").value_or(0));
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
