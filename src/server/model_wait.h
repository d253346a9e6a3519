// Answers that need a model: at once where it is in memory, else when it has been loaded.
#pragma once

#include "server/model_store.h"

namespace quern {

/// What an endpoint needs to make its answer.
struct ModelQuestion {
    std::optional<std::string> model;  ///< nothing: the default one
    bool is_stream = false;            ///< the client expects server-sent events
    Waker wake;
    /// Makes the answer. On a worker thread, at most once.
    std::function<Answer(ModelLease)> make;
};

/// @throws ApiError  404 for an unknown model, and what `make` throws when the model is there
Answer answer_with_model(ModelStore& models, ModelQuestion question);

/// An answer that is made once slow work has been done elsewhere: the ticket of background.h, say.
Answer answer_when(std::function<bool()> is_ready, std::function<Answer()> make, bool is_stream);

}  // namespace quern
