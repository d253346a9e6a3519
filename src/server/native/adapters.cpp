// Source: llama.cpp's server documentation, "GET /lora-adapters" and "POST /lora-adapters".
#include "server/native/adapters.h"

#include "server/generation/adapter_scales.h"
#include "server/generation/wording.h"
#include "server/http/json_body.h"
#include "server/native/status.h"

namespace quern {
namespace {

constexpr FieldRule rules[] = {{"id", FieldKind::integer, 0, 1 << 20}, {"scale", FieldKind::number, -1e6, 1e6}};

}  // namespace

std::span<const FieldRule> adapter_field_rules() { return rules; }

HttpResponse list_adapters(const ApiContext& api, const HttpRequest& request) {
    Json list = Json::array();
    for (const AdapterSource& each : asked_model(api, request)->engine->adapters())
        list.push_back({{"id", list.size()}, {"path", each.path}, {"scale", each.scale}});
    return json_response(list);
}

// What changes the answers of others is never for everybody.
HttpResponse set_adapters(const ApiContext& api, const HttpRequest& request) {
    if (!api.is_local && !api.has_keys)
        throw ApiError("adapters are set only by clients with a key: start the server with --api-key",
                       {.status = 403, .code = "api_key_required"});
    const ModelLease model = asked_model(api, request);
    model->engine->set_adapter_scales(read_adapter_scales("body", parse_json_list(request.body), *model->engine));
    return json_response({{"success", true}});
}

}  // namespace quern
