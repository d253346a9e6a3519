// Adds up the squares of what a model's matrices are multiplied with.
#pragma once

#include <memory>
#include <string>

#include "base/thread_pool.h"
#include "convert/imatrix.h"
#include "engine/engine.h"

namespace quern {

/// One thread at a time: the engine's while it observes, the caller's between evaluations.
class ImatrixCollector {
  public:
    /// @param with_output  also the matrix that makes the logits, and the embeddings where they are the same
    ImatrixCollector(int n_threads, bool with_output) : with_output_(with_output), pool_(n_threads) {}

    /// Adds rows to the entries of every tensor that reads them. @throws ModelError  when a sum is not finite: names the tensor
    void add(const MatmulInput& input);
    /// What was added since the last call.
    Imatrix take();

  private:
    bool with_output_;
    ThreadPool pool_;
    Imatrix collected_;
    std::vector<double> sums_;
};

}  // namespace quern
