// Every setting of `quern serve`: its key, flags, range, and where it goes.
#include "tools/serve/settings.h"

namespace quern {
namespace {

using Kind = Setting::Kind;

/// Numbers are ggml's type ids, as in llama-cpp-python's type_k and type_v.
KvType cache_type(const Json& value) {
    const std::string name = value.is_string() ? value.get<std::string>() : value.dump();
    if (name == "f32" || name == "0") return KvType::f32;
    if (name == "f16" || name == "1") return KvType::f16;
    if (name == "q8_0" || name == "8") return KvType::q8_0;
    if (name == "q4_0" || name == "2") return KvType::q4_0;
    throw InvalidInput(concat("the cache cannot be kept as ", name, ": f32, f16, q8_0 or q4_0"), "type_k");
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

void set_draft(EngineOptions& options, const std::string* model, std::optional<int> n_tokens, std::optional<int> n_gram) {
    if (model) options.draft_model_path = *model;
    if (n_tokens) options.n_draft = *n_tokens;
    if (!n_gram) return;
    options.draft_ngram = *n_gram;
    if (options.n_draft == 0) options.n_draft = 10;
}

constexpr Setting settings[] = {
    {"model", "-m,--model", "a model: a GGUF file; may be given several times", "FILE", Kind::text, 0, 0, nullptr,
     [](ModelEntry& model, const Json& value) { model.options.model_path = value; }},
    {"model_alias", "-a,--model-alias,--alias", "the name that clients call it by; without: the file's name", "NAME", Kind::text, 0, 0,
     nullptr, [](ModelEntry& model, const Json& value) { model.alias = value; }},
    {"host", "--host", "address to listen on, or a Unix socket: unix:/path [127.0.0.1]", "HOST", Kind::text, 0, 0,
     [](ServeSettings& server, const Json& value) { server.host = value; }},
    {"port", "--port", "port to listen on; 0: any free one [8080]", "N", Kind::integer, 0, 65535,
     [](ServeSettings& server, const Json& value) { server.port = value; }},
    {"api_key", "--api-key", "key that clients must send; may be given several times", "KEY", Kind::texts, 0, 0,
     [](ServeSettings& server, const Json& value) { server.api_keys = value; }},
    {"api_key_file", "--api-key-file", "file with one key a line; # begins a comment", "FILE", Kind::text, 0, 0,
     [](ServeSettings& server, const Json& value) { server.api_key_file = value; }},
    {"allow_open", "--allow-open", "listen on an address that others can reach although there is no API key", "", Kind::boolean, 0, 0,
     [](ServeSettings& server, const Json& value) { server.allow_open = value; }},
    {"ssl_certfile", "--ssl-certfile,--ssl-cert-file", "PEM file with the certificate chain: serve HTTPS", "FILE", Kind::text, 0, 0,
     [](ServeSettings& server, const Json& value) { server.certificate_file = value; }},
    {"ssl_keyfile", "--ssl-keyfile,--ssl-key-file", "PEM file with the certificate's private key", "FILE", Kind::text, 0, 0,
     [](ServeSettings& server, const Json& value) { server.key_file = value; }},
    {"cors_origins", "--cors-origins",
     "sites whose pages may use the server: https://app.example, or * for all; may be given several times [none]", "ORIGIN", Kind::texts, 0,
     0, [](ServeSettings& server, const Json& value) { server.cors_origins = value; }},
    {"root_path", "--root-path", "prefix under which a proxy offers the server: /llm", "PATH", Kind::text, 0, 0,
     [](ServeSettings& server, const Json& value) { server.root_path = value; }},
    {"access_log", "--access-log", "file for one line of JSON a request, - for standard output; never holds prompts [none]", "FILE",
     Kind::text, 0, 0, [](ServeSettings& server, const Json& value) { server.access_log = value; }},
    {"memory_budget", "--memory-budget", "MiB that all models may take together; 0: nine tenths of what is free [0]", "MIB", Kind::integer,
     0, int64_t{1} << 32, [](ServeSettings& server, const Json& value) { server.memory_budget_mib = value; }},
    {"timeout", "--timeout", "-to: seconds that an answer may take; 0: as long as it needs [0]", "S", Kind::integer, 0, 1 << 24,
     [](ServeSettings& server, const Json& value) { server.timeout_s = value; }},
    {"stop_timeout", "--stop-timeout", "seconds that running answers get after SIGTERM [30]", "S", Kind::integer, 0, 1 << 24,
     [](ServeSettings& server, const Json& value) { server.stop_timeout_s = value; }},
    {"max_body", "--max-body", "MiB of the longest request [64]", "MIB", Kind::integer, 1, 4096,
     [](ServeSettings& server, const Json& value) { server.max_body_mib = value; }},
    {"max_connections", "--max-connections", "most clients connected at once [8192]", "N", Kind::integer, 1, 65536,
     [](ServeSettings& server, const Json& value) { server.n_connections = value; }},
    {"n_ctx", "-c,--ctx-size,--n-ctx", "window of each request in tokens; 0: the model's own [0]", "N", Kind::integer, 0, 1 << 24, nullptr,
     [](ModelEntry& model, const Json& value) { model.options.n_ctx = value; }},
    {"n_threads", "-t,--threads,--n-threads", "threads; 0 or -1: the physical cores this process may use [0]", "N", Kind::integer, -1, 1024,
     nullptr, [](ModelEntry& model, const Json& value) { model.options.n_threads = std::max(0, value.get<int>()); }},
    {"n_batch", "-b,--batch-size,--n-batch", "most tokens in one step [512]", "N", Kind::integer, 1, 1 << 16, nullptr,
     [](ModelEntry& model, const Json& value) { model.options.n_batch = value; }},
    {"n_gpu_layers", "--n-gpu-layers,--gpu-layers", "-ngl: layers to run on the GPU; -1: all [0]", "N", Kind::integer, -1, 1 << 20, nullptr,
     [](ModelEntry& model, const Json& value) { model.options.n_gpu_layers = value; }},
    {"parallel", "--parallel", "-np: most requests that run at once; each has the whole window [32]", "N", Kind::integer, -1, 4096, nullptr,
     [](ModelEntry& model, const Json& value) {
         if (value.get<int>() > 0) model.options.n_sequences = value;
     }},
    {"n_queue", "--queue", "most requests that wait; those beyond get a 429 [256]", "N", Kind::integer, 0, 65536, nullptr,
     [](ModelEntry& model, const Json& value) { model.options.n_queue = value; }},
    {"kv_budget", "--kv-budget", "MiB for the KV cache; 0: a share of the memory budget [0]", "MIB", Kind::integer, 0, int64_t{1} << 32,
     nullptr, [](ModelEntry& model, const Json& value) { model.options.kv_bytes = value.get<uint64_t>() << 20; }},
    {"type_k", "--cache-type-k", "-ctk: how keys are kept: f32, f16, q8_0, q4_0 [f16]", "TYPE", Kind::name, 0, 0, nullptr,
     [](ModelEntry& model, const Json& value) { model.options.cache_type_k = cache_type(value); }},
    {"type_v", "--cache-type-v", "-ctv: how values are kept [f16]", "TYPE", Kind::name, 0, 0, nullptr,
     [](ModelEntry& model, const Json& value) { model.options.cache_type_v = cache_type(value); }},
    {"draft_ngram", "--draft-ngram", "guess ahead by looking up the last N tokens in the text so far", "N", Kind::integer, 1, 64, nullptr,
     [](ModelEntry& model, const Json& value) { set_draft(model.options, nullptr, std::nullopt, value.get<int>()); }},
    {"draft_model", "", "anything: guess ahead by looking up the prompt, as in llama-cpp-python", "", Kind::text, 0, 0, nullptr,
     [](ModelEntry& model, const Json&) { set_draft(model.options, nullptr, std::nullopt, 3); }},
    {"draft_model_num_pred_tokens", "--draft-max,--draft", "most tokens guessed ahead", "N", Kind::integer, 0, 64, nullptr,
     [](ModelEntry& model, const Json& value) { set_draft(model.options, nullptr, value.get<int>(), std::nullopt); }},
    {"model_draft", "--model-draft", "-md: a small model of the same vocabulary that guesses ahead", "FILE", Kind::text, 0, 0, nullptr,
     [](ModelEntry& model, const Json& value) {
         const std::string path = value;
         set_draft(model.options, &path, std::nullopt, std::nullopt);
     }},
    {"chat_format", "--chat-format,--chat-template", "a built-in chat format in place of the model's own template: chatml ...", "NAME",
     Kind::text, 0, 0, nullptr, [](ModelEntry& model, const Json& value) { model.options.chat_format = value; }},
    {"chat_template_kwargs", "--chat-template-kwargs", "variables for the chat template, as JSON; a request's own go before them", "JSON",
     Kind::object, 0, 0, nullptr, [](ModelEntry& model, const Json& value) { model.template_variables = value; }},
    {"embedding", "--embedding,--embeddings", "make vectors of texts with a model that predicts tokens, too; embedders always do", "",
     Kind::boolean, 0, 0, nullptr, [](ModelEntry& model, const Json& value) { model.options.embeddings = value; }},
    {"pooling", "--pooling", "how a text's vector is made of its tokens': mean, cls, last; rank: score pairs [the model's own, or last]",
     "HOW", Kind::name, 0, 0, nullptr, [](ModelEntry& model, const Json& value) { model.options.pooling = pooling(value); }},
    {"reranking", "--reranking,--rerank", "the model is a cross-encoder: --pooling rank", "", Kind::boolean, 0, 0, nullptr,
     [](ModelEntry& model, const Json& value) {
         if (value.get<bool>()) model.options.pooling = Pooling::rank;
     }},
    {"pin", "--pin", "never unload the model to make room for another", "", Kind::boolean, 0, 0, nullptr,
     [](ModelEntry& model, const Json& value) { model.pin = value; }},
    {"preload", "--preload", "load the model at the start; the first one always is", "", Kind::boolean, 0, 0, nullptr,
     [](ModelEntry& model, const Json& value) { model.preload = value; }},
    {"ttl", "--ttl", "unload a model that nobody used for so many seconds; 0: keep it [0]", "S", Kind::integer, 0, 1 << 30, nullptr,
     [](ModelEntry& model, const Json& value) { model.ttl = std::chrono::seconds(value.get<int64_t>()); }},
};

}  // namespace

std::span<const Setting> serve_settings() { return settings; }

}  // namespace quern
