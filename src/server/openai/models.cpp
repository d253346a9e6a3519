#include "server/openai/models.h"

#include "server/fields.h"
#include "server/generation/wording.h"
#include "server/http/json_body.h"

namespace quern {
namespace {

// `meta` holds what a client of a local server wants to know beyond OpenAI's fields, `status` where it is, both under llama.cpp's names.
Json model_json(const ModelStatus& model) {
    Json json = {{"id", model.id},
                 {"object", "model"},
                 {"created", model.created},
                 {"owned_by", "quern"},
                 {"status", {{"value", to_string(model.state)}, {"pinned", model.is_pinned}, {"requests", model.n_users}}}};
    if (!model.error.empty()) json["status"]["error"] = model.error;
    if (!model.info) return json;
    const ModelInfo& info = *model.info;
    json["meta"] = {{"n_ctx", info.n_ctx},   {"n_ctx_train", info.n_ctx_train}, {"n_vocab", info.n_vocab},
                    {"n_embd", info.n_embd}, {"n_params", info.n_params},       {"size", info.file_bytes}};
    json["memory"] = {{"weights", info.file_bytes}, {"kv_cache", info.kv_bytes}, {"workspace", info.workspace_bytes}};
    if (info.draft_file_bytes > 0) json["memory"]["draft"] = info.draft_file_bytes + info.draft_kv_bytes;
    return json;
}

constexpr FieldRule name_rules[] = {{"model", FieldKind::text}};

/// Loading and unloading changes what others get: never for everybody.
void require_keys(const ApiContext& api) {
    if (!api.has_keys)
        throw ApiError(
            "models are loaded and unloaded only by clients with a key, and this server has none: start it with --api-key KEY, "
            "API_KEY or --api-key-file, and send the header Authorization: Bearer KEY",
            {.status = 403, .code = "api_key_required"});
}

std::string required_model(const HttpRequest& request) {
    const auto name = model_name(parse_json_body(request.body));
    if (!name) refuse_value("model", "is missing");
    return *name;
}

}  // namespace

HttpResponse list_models(const ModelStore& models) {
    Json list = Json::array();
    for (const ModelStatus& model : models.list()) list.push_back(model_json(model));
    return json_response(
        {{"object", "list"}, {"data", std::move(list)}, {"memory", {{"budget", models.budget_bytes()}, {"used", models.used_bytes()}}}});
}

HttpResponse describe_model(const ModelStore& models, const std::string& id) { return json_response(model_json(models.status(id))); }

Answer load_model_now(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    require_keys(api);
    const std::string name = required_model(request);
    return answer_with_model(api.models,
                             {.model = name, .is_stream = false, .wake = wake, .make = [&api, name](const ModelLease&) -> Answer {
                                  return describe_model(api.models, name);
                              }});
}

std::span<const FieldRule> model_name_rules() { return name_rules; }

Answer unload_model(ApiContext& api, const HttpRequest& request, const Waker&) {
    require_keys(api);
    const std::string name = required_model(request);
    api.models.unload(name);
    return describe_model(api.models, name);
}

}  // namespace quern
