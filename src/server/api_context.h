// What the endpoints share.
#pragma once

#include <atomic>

#include "server/metrics.h"
#include "server/model_wait.h"

namespace quern {

struct ApiContext {
    ModelStore& models;
    ServerMetrics& metrics;
    std::atomic<bool> has_keys = false;  ///< only clients with a key are served
    bool is_local = true;                ///< no other machine can reach the server
    std::string root_path = {};          ///< prefix of the server's URL, or ""
};

/// A request with its parsed body and its model.
struct ModelRequest {
    ApiContext& api;
    ModelLease model;
    const Json& body;
    const Waker& wake;
};

/// Parses the body, waits for the model that it names, and lets `make` answer. @throws ApiError
/// With "stream": true, an endpoint that sends events may begin its stream before the model is there.
Answer answer_body(ApiContext& api, const HttpRequest& request, const Waker& wake, std::function<Answer(const ModelRequest&)> make);
/// The same with a body that has been parsed already.
Answer answer_parsed(ApiContext& api, const HttpRequest& request, std::shared_ptr<const Json> body, const Waker& wake,
                     std::function<Answer(const ModelRequest&)> make);

}  // namespace quern
