// The settings of each model.
#include <filesystem>

#include "tools/adapter_flags.h"
#include "tools/serve/setting_row.h"
#include "tools/template_sources.h"

namespace quern {
namespace {

using Kind = Setting::Kind;
using O = EngineOptions;
using R = RopeOverride;

/// Numbers are ggml's type ids, as in llama-cpp-python's type_k and type_v.
KvType cache_type(const Json& value) {
    const std::string name = value.is_string() ? value.get<std::string>() : value.dump();
    if (name == "f32" || name == "0") return KvType::f32;
    if (name == "f16" || name == "1") return KvType::f16;
    if (name == "q8_0" || name == "8") return KvType::q8_0;
    if (name == "q4_0" || name == "2") return KvType::q4_0;
    throw InvalidInput(concat("the cache cannot be kept as ", name, ": f32, f16, q8_0 or q4_0"), "type_k");
}

/// Numbers are llama.cpp's ids.
std::string rope_scaling(const Json& value) {
    constexpr const char* names[] = {"", "none", "linear", "yarn", "longrope"};
    if (value.is_string() && value.get<std::string>().find_first_not_of("-0123456789") != std::string::npos) return value;
    const std::string number = value.is_string() ? value.get<std::string>() : value.dump();
    for (int i = -1; i <= 3; ++i)
        if (number == std::to_string(i)) return names[i + 1];
    throw InvalidInput(concat("there is no RoPE scaling ", number, ": none (0), linear (1), yarn (2), longrope (3), or -1: the file's"),
                       "rope_scaling_type");
}

/// Numbers are llama.cpp's, as in llama-cpp-python's pooling_type; a server's vectors are of whole texts.
std::optional<Pooling> pooling(const Json& value) {
    const std::string name = value.is_string() ? value.get<std::string>() : value.dump();
    if (name == "mean" || name == "1") return Pooling::mean;
    if (name == "cls" || name == "2") return Pooling::cls;
    if (name == "last" || name == "3") return Pooling::last;
    if (name == "rank" || name == "4") return Pooling::rank;
    if (name == "-1") return std::nullopt;
    throw InvalidInput(concat("there is no pooling ", name, ": mean, cls, last or rank"), "pooling");
}

Json pooling_json(const ModelEntry& model) {
    constexpr const char* names[] = {"none", "mean", "cls", "last", "rank"};
    const auto& chosen = model.options.pooling;
    return chosen ? Json(names[static_cast<size_t>(*chosen)]) : Json(nullptr);
}

/// A file is a draft model; in llama-cpp-python, anything else asks for guesses from the prompt.
void set_draft_model(ModelEntry& model, const Json& value) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (text.empty() || value == Json(false)) return;
    std::error_code error;
    if (std::filesystem::is_regular_file(text, error)) {
        model.options.draft_model_path = text;
        return;
    }
    if (text.find('/') != std::string::npos || text.ends_with(".gguf"))
        throw InvalidInput(concat("there is no draft model file ", text), "draft_model");
    model.options.draft_ngram = 3;
    model.usual_draft = 10;
}

void set_seed(ModelEntry& model, const Json& value) {
    const auto seed = value.get<int64_t>();
    if (seed == -1 || seed == 0xFFFFFFFF)
        model.options.seed.reset();
    else
        model.options.seed = static_cast<uint64_t>(seed);
}

Json overrides_json(const ModelEntry& model) {
    Json list = Json::array();
    for (const MetadataOverride& each : model.options.kv_overrides) {
        const Json value = std::visit([](const auto& v) { return Json(v); }, each.value);
        constexpr const char* types[] = {"int", "float", "bool", "str"};
        list.push_back(concat(each.key, "=", types[each.value.index()], ":", value.is_string() ? value.get<std::string>() : value.dump()));
    }
    return list;
}

template <const char* Key>
void set_adapters(ModelEntry& model, const Json& value) {
    model.adapters[Key] = parse_adapters(value.is_array() ? value.get<std::vector<std::string>>() : std::vector<std::string>{value});
}

constexpr char lora[] = "lora", lora_scaled[] = "lora_scaled", lora_path[] = "lora_path";

Json adapters_json(const ModelEntry& model) {
    Json list = Json::array();
    for (const AdapterSource& each : model.options.adapters) list.push_back(concat(each.path, "=", each.scale));
    return list;
}

std::vector<Setting> names_and_memory() {
    std::vector<Setting> rows{
        in_options<&O::model_path>({"model", "-m,--model", "a model: a GGUF file; may be given several times", "FILE", Kind::text}),
        in_entry<&ModelEntry::alias>(
            {"model_alias", "-a,--model-alias,--alias", "the name that clients call it by; without: the file's name", "NAME", Kind::text}),
        in_options<&O::n_ctx>({"n_ctx", "-c,--ctx-size,--n-ctx",
                               "window of each request in tokens; 0: the model's own, as far as the memory goes", "N", Kind::integer, 0,
                               1 << 24}),
        {"n_threads", "-t,--threads,--n-threads", "threads; 0 or -1: the physical cores this process may use", "N", Kind::integer, -1, 1024,
         nullptr, [](ModelEntry& model, const Json& value) { model.options.n_threads = std::max(0, value.get<int>()); }, nullptr,
         [](const ModelEntry& model) { return Json(model.options.n_threads); }},
        in_options<&O::n_batch>({"n_batch", "-b,--batch-size,--n-batch", "most tokens in one step", "N", Kind::integer, 1, 1 << 16}),
        in_options<&O::n_gpu_layers>({"n_gpu_layers", "--n-gpu-layers,--gpu-layers",
                                      "-ngl: layers to run on the GPU; -1: all. There is no GPU support yet", "N", Kind::integer, -1,
                                      1 << 20}),
        {"parallel", "--parallel", "-np: most requests that run at once; each has the whole window", "N", Kind::integer, -1, 4096, nullptr,
         [](ModelEntry& model, const Json& value) {
             if (value.get<int>() > 0) model.options.n_sequences = value;
         },
         nullptr, [](const ModelEntry& model) { return Json(model.options.n_sequences); }},
        in_options<&O::n_queue>({"n_queue", "--queue", "most requests that wait; those beyond get a 429", "N", Kind::integer, 0, 65536}),
        {"kv_budget", "--kv-budget", "MiB for the KV cache; 0: what all requests can use, as far as the memory goes", "MIB", Kind::integer,
         0, 4294967296.0, nullptr, [](ModelEntry& model, const Json& value) { model.options.kv_bytes = value.get<uint64_t>() << 20; },
         nullptr, [](const ModelEntry& model) { return Json(model.options.kv_bytes >> 20); }},
        {"type_k", "--cache-type-k", "-ctk: how keys are kept: f32, f16, q8_0, q4_0", "TYPE", Kind::name, 0, 0, nullptr,
         [](ModelEntry& model, const Json& value) { model.options.cache_type_k = cache_type(value); }, nullptr,
         [](const ModelEntry& model) { return Json(traits(model.options.cache_type_k).name); }},
        {"type_v", "--cache-type-v", "-ctv: how values are kept", "TYPE", Kind::name, 0, 0, nullptr,
         [](ModelEntry& model, const Json& value) { model.options.cache_type_v = cache_type(value); }, nullptr,
         [](const ModelEntry& model) { return Json(traits(model.options.cache_type_v).name); }},
        in_options<&O::prefix_cache>(
            {"prefix_cache", "", "keep what was computed of prompts for those that begin alike", "", Kind::boolean}),
        in_entry<&ModelEntry::cache>({"cache", "",
                                      "keep cache_size more of the KV cache than requests need, for the beginnings of finished ones", "",
                                      Kind::boolean}),
        in_entry<&ModelEntry::cache_bytes>({"cache_size", "", "bytes of that", "BYTES", Kind::integer, 0, 1e15}),
        in_options<&O::lock_memory>(
            {"use_mlock", "--mlock", "keep the weights in memory; the system must allow it (ulimit -l)", "", Kind::boolean}),
        in_entry<&ModelEntry::pin>({"pin", "--pin", "never unload the model to make room for another", "", Kind::boolean}),
        in_entry<&ModelEntry::preload>(
            {"preload", "--preload", "load the model at the start; the first one that has a file always is", "", Kind::boolean}),
        {"ttl", "--ttl", "unload a model that nobody used for so many seconds; 0: keep it", "S", Kind::integer, 0, 1 << 30, nullptr,
         [](ModelEntry& model, const Json& value) { model.ttl = std::chrono::seconds(value.get<int64_t>()); }, nullptr,
         [](const ModelEntry& model) { return Json(model.ttl.count()); }},
    };
    for (Setting& row : rows) row.group = "Models";
    return rows;
}

std::vector<Setting> answers() {
    std::vector<Setting> rows{
        {"seed", "-s,--seed", "seed of requests that name none; -1: a new one for each", "N", Kind::integer, -1, 9e15, nullptr, set_seed,
         nullptr, [](const ModelEntry& model) { return model.options.seed ? Json(*model.options.seed) : Json(-1); }},
        {"last_n_tokens_size", "--last-n-tokens-size,--repeat-last-n",
         "how many tokens back penalties look, where a request does not say; -1: all", "N", Kind::integer, -1, 1 << 30, nullptr,
         [](ModelEntry& model, const Json& value) { model.options.repeat_last_n = value.get<int>(); }, nullptr,
         [](const ModelEntry& model) { return Json(model.options.repeat_last_n.value_or(SamplingParams().repeat_last_n)); }},
        in_options<&O::chat_format>(
            {"chat_format", "--chat-format",
             "a built-in chat format in place of the model's own template: chatml ..., or chat_template.NAME of the file", "NAME",
             Kind::text}),
        {"chat_template", "--chat-template", "the same, or a template's text", "NAME", Kind::text, 0, 0, nullptr,
         [](ModelEntry& model, const Json& value) { set_chat_template(value, model.options); }, nullptr,
         [](const ModelEntry& model) {
             return json_of(model.chat_template_file.empty() && model.hf_tokenizer_config_path.empty() ? model.options.chat_template
                                                                                                       : std::string());
         }},
        in_entry<&ModelEntry::chat_template_file>(
            {"chat_template_file", "--chat-template-file", "a file with a template in place of the model's own", "FILE", Kind::text}),
        in_entry<&ModelEntry::hf_tokenizer_config_path>({"hf_tokenizer_config_path", "",
                                                         "a tokenizer_config.json whose template takes the place of the model's own",
                                                         "FILE", Kind::text}),
        in_entry<&ModelEntry::template_variables>({"chat_template_kwargs", "--chat-template-kwargs",
                                                   "variables for the chat template, as JSON; a request's own go before them", "JSON",
                                                   Kind::object}),
        in_options<&O::embeddings>({"embedding", "--embedding,--embeddings",
                                    "make vectors of texts with a model that predicts tokens, too; embedders always do", "",
                                    Kind::boolean}),
        {"pooling", "--pooling",
         "how a text's vector is made of its tokens': mean, cls, last; rank: score pairs [the model's own, or last]", "HOW", Kind::name, 0,
         0, nullptr, [](ModelEntry& model, const Json& value) { model.options.pooling = pooling(value); }, nullptr, pooling_json},
        {"reranking", "--reranking,--rerank", "the model is a cross-encoder: --pooling rank", "", Kind::boolean, 0, 0, nullptr,
         [](ModelEntry& model, const Json& value) {
             if (value.get<bool>()) model.options.pooling = Pooling::rank;
         }},
        in_options<&O::draft_ngram>({"draft_ngram", "--draft-ngram",
                                     "guess ahead by looking up the last N tokens in the text so far; 0: don't", "N", Kind::integer, 0,
                                     64}),
        in_options<&O::draft_model_path>(
            {"model_draft", "--model-draft", "-md: a small model of the same vocabulary that guesses ahead", "FILE", Kind::text}),
        {"draft_model", "", "a file: the same; any other word: --draft-ngram 3, as in llama-cpp-python", "FILE", Kind::any, 0, 0, nullptr,
         set_draft_model},
        {"draft_model_num_pred_tokens", "--draft-max,--draft",
         "most tokens guessed ahead; where draft_model is a word, 10, as in llama-cpp-python", "N", Kind::integer, 1, 64, nullptr,
         [](ModelEntry& model, const Json& value) { model.n_draft = value.get<int>(); }, nullptr,
         [](const ModelEntry& model) { return Json(model.n_draft.value_or(model.usual_draft)); }},
    };
    for (Setting& row : rows) row.group = "Answers";
    return rows;
}

std::vector<Setting> model_file() {
    std::vector<Setting> rows{
        {lora, "--lora", "apply a LoRA adapter (GGUF), at a scale other than 1 if one is given; may be given several times", "FILE[=SCALE]",
         Kind::texts, 0, 0, nullptr, set_adapters<lora>, nullptr, adapters_json},
        {lora_scaled, "--lora-scaled", "FILE SCALE: the same as --lora FILE=SCALE", "FILE SCALE", Kind::texts, 0, 0, nullptr,
         set_adapters<lora_scaled>},
        {lora_path, "", "an adapter, as in llama-cpp-python", "FILE", Kind::text, 0, 0, nullptr, set_adapters<lora_path>},
        in_entry<&ModelEntry::adapters_start_off>({"lora_init_without_apply", "--lora-init-without-apply",
                                                   "load adapters at the scale 0: requests or POST /lora-adapters set it", "",
                                                   Kind::boolean}),
        {"kv_overrides", "--override-kv",
         "a key of the model file and its value, KEY=int:5, float:0.5, bool:true or str:text; may be given several times", "KEY=TYPE:VALUE",
         Kind::texts, 0, 0, nullptr,
         [](ModelEntry& model, const Json& value) {
             model.options.kv_overrides.clear();
             for (const Json& each : value) model.options.kv_overrides.push_back(parse_metadata_override(each.get<std::string>()));
         },
         nullptr, overrides_json},
        {"rope_scaling_type", "--rope-scaling", "how RoPE is stretched: none, linear, yarn, longrope; -1: as the file says", "TYPE",
         Kind::name, 0, 0, nullptr, [](ModelEntry& model, const Json& value) { model.options.rope.scaling = rope_scaling(value); }, nullptr,
         [](const ModelEntry& model) { return json_of(model.options.rope.scaling); }},
        in_rope<&R::freq_base, 0>({"rope_freq_base", "--rope-freq-base", "base of RoPE; 0: the file's", "X", Kind::real, 0, 1e12}),
        in_rope<&R::freq_scale, 0>({"rope_freq_scale", "--rope-freq-scale", "1 over the factor by which the window grows; 0: the file's",
                                    "X", Kind::real, 0, 1e6}),
        {"rope_scale", "--rope-scale", "the factor itself", "X", Kind::real, 1e-6, 1e6, nullptr,
         [](ModelEntry& model, const Json& value) { model.options.rope.freq_scale = 1.0 / value.get<double>(); }},
        in_rope<&R::yarn_ext_factor, -1>(
            {"yarn_ext_factor", "--yarn-ext-factor", "share of YaRN's mixing; -1: the file's", "X", Kind::real, -1, 1e3}),
        in_rope<&R::yarn_attn_factor, -1>(
            {"yarn_attn_factor", "--yarn-attn-factor", "is multiplied with the file's attention factor", "X", Kind::real, -1, 1e3}),
        in_rope<&R::yarn_beta_fast, -1>(
            {"yarn_beta_fast", "--yarn-beta-fast", "turns above which YaRN keeps a frequency; -1: the file's", "X", Kind::real, -1, 1e6}),
        in_rope<&R::yarn_beta_slow, -1>({"yarn_beta_slow", "--yarn-beta-slow",
                                         "turns below which YaRN stretches it in full; -1: the file's", "X", Kind::real, -1, 1e6}),
        in_rope<&R::original_context, 0>({"yarn_orig_ctx", "--yarn-orig-ctx",
                                          "window that the model was trained with, for YaRN; 0: the file's", "N", Kind::integer, 0,
                                          1 << 30}),
    };
    for (Setting& row : rows) row.group = "Model file";
    return rows;
}

}  // namespace

std::vector<Setting> model_settings() {
    std::vector<Setting> all = names_and_memory();
    for (auto* part : {answers, model_file})
        for (const Setting& row : part()) all.push_back(row);
    return all;
}

}  // namespace quern
