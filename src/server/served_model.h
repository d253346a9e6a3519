// A model in memory, and the right to use it.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.h"

namespace quern {

/// A loaded model. Immutable but for its engine, which is safe from any thread.
struct ServedModel {
    std::string id;           ///< what GET /v1/models and every response say
    std::string fingerprint;  ///< `system_fingerprint` of its responses
    Json template_variables;  ///< the server's own chat_template_kwargs; a request's go before them
    std::unique_ptr<Engine> engine;
};

/// Whoever holds one keeps the model in memory. Must not outlive its ModelStore.
using ModelLease = std::shared_ptr<const ServedModel>;

}  // namespace quern
