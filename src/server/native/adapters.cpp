// Source: llama.cpp's server documentation, "GET /lora-adapters" and "POST /lora-adapters".
#include "server/native/adapters.h"

#include "server/generation/adapter_scales.h"
#include "server/generation/wording.h"
#include "server/http/json_body.h"
#include "server/native/status.h"

namespace quern {

HttpResponse list_adapters(const ApiContext& api, const HttpRequest& request) {
    Json list = Json::array();
    for (const AdapterSource& each : asked_model(api, request)->engine->adapters())
        list.push_back({{"id", list.size()}, {"path", each.path}, {"scale", each.scale}});
    return json_response(list);
}

HttpResponse set_adapters(const ApiContext& api, const HttpRequest& request) {
    const ModelLease model = asked_model(api, request);
    model->engine->set_adapter_scales(read_adapter_scales("body", parse_json_list(request.body), *model->engine));
    return json_response({{"success", true}});
}

}  // namespace quern
