// Texts that are read for one request, a few at a time, so that those of other requests get their turn between them.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "engine/evaluation.h"

namespace quern {

/// Used by one thread at a time. Dropping it cancels what is under way.
class EvaluationSeries {
  public:
    /// Queues text number i, all but the first as going on with a request that was let in. @throws what Engine::start_evaluation() throws
    using Start = std::function<std::shared_ptr<Evaluation>(size_t i)>;
    /// @throws what the first text is refused with
    EvaluationSeries(size_t n_texts, size_t most_at_once, Start start);

    /// Whether all texts are read, or one has failed; else queues those whose turn it is. Quick.
    bool is_done();
    /// REQUIRES: is_done(). @throws what went wrong
    void check() const;

  private:
    void start_more();

    const size_t n_texts_, most_at_once_;
    const Start start_;
    size_t n_started_ = 0;
    std::deque<std::shared_ptr<Evaluation>> under_way_;
    std::exception_ptr error_;
};

}  // namespace quern
