#include "server/native/status.h"

#include "base/version.h"
#include "server/generation/wording.h"
#include "server/http/message.h"
#include "server/native/generation_settings.h"

namespace quern {
namespace {

std::string token_text(const Tokenizer& tokenizer, std::optional<TokenId> token) {
    return token ? tokenizer.token_bytes(*token, true) : std::string();
}

Json idle_slot(const ModelInfo& info, size_t id) {
    return {{"id", id},
            {"id_task", -1},
            {"n_ctx", info.n_ctx},
            {"speculative", info.is_speculative},
            {"is_processing", false},
            {"params", Json::object()},
            {"next_token", {{"has_next_token", false}, {"n_decoded", 0}, {"n_remain", 0}}}};
}

/// Slots are numbered anew whenever they are looked at: what stays is the number of the task.
Json slots_json(const EngineStats& stats, const ModelInfo& info) {
    Json slots = Json::array();
    for (const SequenceStats& sequence : stats.sequences) {
        if (sequence.state == SequenceStats::State::waiting) continue;
        const int64_t n_remain = sequence.n_limit - sequence.n_prompt - sequence.n_generated;
        Json slot = idle_slot(info, slots.size());
        slot["id_task"] = sequence.id;
        slot["is_processing"] = true;
        slot["n_prompt_tokens"] = sequence.n_prompt;
        slot["n_prompt_tokens_cache"] = sequence.n_cached;
        slot["n_computed"] = sequence.n_computed;
        if (sequence.sampling) slot["params"] = sampling_settings(*sequence.sampling);
        slot["params"]["n_predict"] = sequence.n_limit - sequence.n_prompt;
        slot["next_token"] = {{"has_next_token", n_remain > 0}, {"n_decoded", sequence.n_generated}, {"n_remain", n_remain}};
        slots.push_back(std::move(slot));
    }
    return slots;
}

/// What POST /completion does without being told.
Json default_settings() {
    SamplingParams sampling;
    sampling.temperature = 0.8f;
    sampling.top_k = 40;
    sampling.top_p = 0.95f;
    sampling.min_p = 0.05f;
    Json json = sampling_settings(sampling);
    json["n_predict"] = -1;
    json["stop"] = Json::array();
    json["ignore_eos"] = false;
    json["n_probs"] = 0;
    json["stream"] = false;
    return json;
}

std::string template_source(const ServedModel& model) {
    return model.engine->chat_template() ? model.engine->chat_template()->source() : std::string();
}

}  // namespace

ModelLease asked_model(const ApiContext& api, const HttpRequest& request) {
    const auto name = query_value(request.query, "model");
    ModelLease model = api.models.find_loaded(name ? std::optional<std::string_view>(*name) : std::nullopt);
    if (!model)
        throw ApiError(
            concat("the model ", api.models.id_of(name ? std::optional<std::string_view>(*name) : std::nullopt), " is not loaded"),
            {.status = 409, .code = "model_not_loaded"});
    return model;
}

HttpResponse describe_properties(const ApiContext& api, const HttpRequest& request) {
    const ModelLease model = asked_model(api, request);
    const ModelInfo& info = model->engine->info();
    const Tokenizer& tokenizer = model->engine->tokenizer();
    return json_response({{"default_generation_settings", {{"n_ctx", info.n_ctx}, {"params", default_settings()}}},
                          {"total_slots", info.n_sequences},
                          {"model_alias", model->id},
                          {"model_path", info.path},
                          {"chat_template", template_source(*model)},
                          {"modalities", {{"vision", false}, {"audio", false}, {"video", false}}},
                          {"bos_token", token_text(tokenizer, tokenizer.vocabulary().bos)},
                          {"eos_token", token_text(tokenizer, tokenizer.vocabulary().eos)},
                          {"build_info", concat("quern ", program_version(), ", ", info.device)},
                          {"is_sleeping", false}});
}

HttpResponse list_slots(const ApiContext& api, const HttpRequest& request) {
    const ModelLease model = asked_model(api, request);
    const ModelInfo& info = model->engine->info();
    const EngineStats stats = model->engine->stats();
    if (query_value(request.query, "fail_on_no_slot") == "1" && stats.n_running >= info.n_sequences)
        throw ApiError("every slot is busy", {.status = 503, .code = "no_slot", .headers = {{"Retry-After", "1"}}});
    Json slots = slots_json(stats, info);
    while (static_cast<int>(slots.size()) < info.n_sequences) slots.push_back(idle_slot(info, slots.size()));
    return json_response(slots);
}

Answer change_slot(ApiContext&, const HttpRequest& request, const Waker&) {
    const std::string action = query_value(request.query, "action").value_or("");
    if (action != "save" && action != "restore" && action != "erase")
        throw ApiError("Invalid 'action': must be save, restore or erase.", {.status = 400, .code = "invalid_value", .param = "action"});
    throw ApiError(
        concat("slots cannot ", action,
               ": they keep nothing of their own here, since all requests share one prefix cache, which finds equal beginnings by "
               "itself; \"cache_prompt\": false keeps a request out of it"),
        {.status = 501, .code = "not_supported", .param = "action", .headers = {{"x-should-retry", "false"}}});
}

HttpResponse readiness(const ApiContext& api) {
    for (const ModelStatus& model : api.models.list())
        if (model.state == ModelState::loaded) return {.body = R"({"status":"ok"})"};
    throw ApiError("no model is loaded yet", {.status = 503, .code = "not_ready", .headers = {{"Retry-After", "1"}}});
}

}  // namespace quern
