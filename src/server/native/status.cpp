#include "server/native/status.h"

#include "server/generation/wording.h"
#include "server/http/message.h"

namespace quern {
namespace {

std::string token_text(const Tokenizer& tokenizer, std::optional<TokenId> token) {
    return token ? tokenizer.token_bytes(*token, true) : std::string();
}

Json slots_json(const EngineStats& stats, int64_t n_ctx) {
    Json slots = Json::array();
    for (const SequenceStats& sequence : stats.sequences) {
        const bool is_running = sequence.state != SequenceStats::State::waiting;
        slots.push_back(
            {{"id", slots.size()},
             {"id_task", sequence.id},
             {"n_ctx", n_ctx},
             {"speculative", false},
             {"is_processing", is_running},
             {"n_prompt_tokens", sequence.n_prompt},
             {"n_prompt_tokens_cache", sequence.n_cached},
             {"n_computed", sequence.n_computed},
             {"next_token",
              {{"n_decoded", sequence.n_generated}, {"n_remain", sequence.n_limit - sequence.n_prompt - sequence.n_generated}}}});
    }
    return slots;
}

std::string gauge(const char* name, const std::string& model, double value) {
    return concat(name, "{model=\"", model, "\"} ", value, "\n");
}

/// Backslash, quote and line break, as label values need it.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out;
}

}  // namespace

ModelLease asked_model(const ApiContext& api, const HttpRequest& request) {
    const auto name = query_value(request.query, "model");
    ModelLease model = api.models.find_loaded(name ? std::optional<std::string_view>(*name) : std::nullopt);
    if (!model)
        throw ApiError(
            concat("the model ", api.models.id_of(name ? std::optional<std::string_view>(*name) : std::nullopt), " is not loaded"),
            {.status = 503, .code = "model_not_loaded", .headers = {{"Retry-After", "5"}}});
    return model;
}

HttpResponse describe_properties(const ApiContext& api, const HttpRequest& request) {
    const ModelLease model = asked_model(api, request);
    const ModelInfo& info = model->engine->info();
    const Tokenizer& tokenizer = model->engine->tokenizer();
    const ChatTemplate* format = model->engine->chat_template();
    return json_response({{"default_generation_settings", {{"n_ctx", info.n_ctx}, {"params", Json::object()}}},
                          {"total_slots", model->n_sequences},
                          {"model_alias", model->id},
                          {"model_path", info.path},
                          {"has_chat_template", format != nullptr},
                          {"modalities", {{"vision", false}, {"audio", false}}},
                          {"bos_token", token_text(tokenizer, tokenizer.vocabulary().bos)},
                          {"eos_token", token_text(tokenizer, tokenizer.vocabulary().eos)},
                          {"build_info", "quern"},
                          {"is_sleeping", false}});
}

HttpResponse list_slots(const ApiContext& api, const HttpRequest& request) {
    const ModelLease model = asked_model(api, request);
    const EngineStats stats = model->engine->stats();
    if (query_value(request.query, "fail_on_no_slot") == "1" && stats.n_running >= model->n_sequences)
        throw ApiError("every slot is busy", {.status = 503, .code = "no_slot", .headers = {{"Retry-After", "1"}}});
    Json slots = slots_json(stats, model->engine->info().n_ctx);
    for (auto i = static_cast<int>(slots.size()); i < model->n_sequences; ++i)
        slots.push_back({{"id", i}, {"n_ctx", model->engine->info().n_ctx}, {"speculative", false}, {"is_processing", false}});
    return json_response(slots);
}

HttpResponse list_metrics(const ApiContext& api) {
    std::string text = api.metrics.text();
    struct Column {
        const char* name;
        const char* help;
        double (*value)(const ModelStatus&);
    };
    static constexpr Column columns[] = {
        {"quern_model_loaded", "1 while the model is in memory.", [](const ModelStatus& model) { return model.info ? 1.0 : 0.0; }},
        {"quern_requests_running", "Requests that generate.",
         [](const ModelStatus& model) { return static_cast<double>(model.stats.n_running); }},
        {"quern_requests_waiting", "Requests in the queue.",
         [](const ModelStatus& model) { return static_cast<double>(model.stats.n_waiting); }},
        {"quern_kv_pages", "Pages of the KV cache.", [](const ModelStatus& model) { return static_cast<double>(model.stats.n_pages); }},
        {"quern_kv_pages_free", "Pages that are free.",
         [](const ModelStatus& model) { return static_cast<double>(model.stats.n_free_pages); }},
        {"quern_engine_steps", "Batches run since the model was loaded.",
         [](const ModelStatus& model) { return static_cast<double>(model.stats.n_steps); }},
        {"quern_engine_batched_tokens", "Tokens in those batches.",
         [](const ModelStatus& model) { return static_cast<double>(model.stats.n_batched_tokens); }},
    };
    const std::vector<ModelStatus> models = api.models.list();
    for (const Column& column : columns) {
        text += concat("# HELP ", column.name, " ", column.help, "\n# TYPE ", column.name, " gauge\n");
        for (const ModelStatus& model : models) text += gauge(column.name, escaped(model.id), column.value(model));
    }
    text += metric_text("quern_memory_budget_bytes", "gauge", "Memory that all models may take.",
                        static_cast<double>(api.models.budget_bytes()));
    text +=
        metric_text("quern_memory_used_bytes", "gauge", "Memory that loaded models take.", static_cast<double>(api.models.used_bytes()));
    text += metric_text("quern_model_loads_total", "counter", "Models loaded.", static_cast<double>(api.models.n_loads()));
    text += metric_text("quern_model_evictions_total", "counter", "Models unloaded.", static_cast<double>(api.models.n_evictions()));
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = text};
}

HttpResponse readiness(const ApiContext& api) {
    for (const ModelStatus& model : api.models.list())
        if (model.state == ModelState::loaded) return {.body = R"({"status":"ok"})"};
    throw ApiError("no model is loaded yet", {.status = 503, .code = "not_ready", .headers = {{"Retry-After", "1"}}});
}

}  // namespace quern
