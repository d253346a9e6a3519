#include "server/api_context.h"

#include "server/endpoint_table.h"
#include "server/http/json_body.h"

namespace quern {
namespace {

bool asks_for_events(const HttpRequest& request, const Json& body) {
    if (request.endpoint == nullptr || request.endpoint->stream_type != event_stream) return false;
    const auto stream = body.find("stream");
    return stream != body.end() && stream->is_boolean() && stream->get<bool>();
}

}  // namespace

Answer answer_body(ApiContext& api, const HttpRequest& request, const Waker& wake, std::function<Answer(const ModelRequest&)> make) {
    return answer_parsed(api, request, std::make_shared<const Json>(parse_json_body(request.body)), wake, std::move(make));
}

Answer answer_parsed(ApiContext& api, const HttpRequest& request, std::shared_ptr<const Json> body, const Waker& wake,
                     std::function<Answer(const ModelRequest&)> make) {
    const bool is_stream = asks_for_events(request, *body);
    const auto make_with = [&api, body, wake, make = std::move(make)](ModelLease model) {
        return make({api, std::move(model), *body, wake});
    };
    return answer_with_model(api.models, {.model = model_name(*body), .is_stream = is_stream, .wake = wake, .make = make_with});
}

}  // namespace quern
