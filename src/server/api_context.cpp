#include "server/api_context.h"

#include "server/fields.h"
#include "server/http/json_body.h"

namespace quern {

Answer answer_body(ApiContext& api, const HttpRequest& request, const Waker& wake, std::function<Answer(const ModelRequest&)> make,
                   bool sends_events) {
    return answer_parsed(api, std::make_shared<const Json>(parse_json_body(request.body)), wake, std::move(make), sends_events);
}

Answer answer_parsed(ApiContext& api, std::shared_ptr<const Json> body, const Waker& wake, std::function<Answer(const ModelRequest&)> make,
                     bool sends_events) {
    const auto stream = body->find("stream");
    const bool is_stream = sends_events && stream != body->end() && stream->is_boolean() && stream->get<bool>();
    const auto make_with = [&api, body, wake, make = std::move(make)](ModelLease model) {
        return make({api, std::move(model), *body, wake});
    };
    return answer_with_model(api.models, {.model = model_name(*body), .is_stream = is_stream, .wake = wake, .make = make_with});
}

}  // namespace quern
