#include "server/api_context.h"

#include "server/fields.h"
#include "server/http/json_body.h"

namespace quern {

Answer answer_body(ApiContext& api, const HttpRequest& request, const Waker& wake, std::function<Answer(const ModelRequest&)> make) {
    const auto body = std::make_shared<const Json>(parse_json_body(request.body));
    const auto stream = body->find("stream");
    const bool is_stream = stream != body->end() && stream->is_boolean() && stream->get<bool>();
    return answer_with_model(api.models, {.model = model_name(*body),
                                          .is_stream = is_stream,
                                          .wake = wake,
                                          .make = [&api, body, wake, make = std::move(make)](ModelLease model) {
                                              return make({api, std::move(model), *body, wake});
                                          }});
}

}  // namespace quern
