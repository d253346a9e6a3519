// How much a model's predictions change when one of its weights does: measured, by running it with that weight replaced.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "convert/quantize_plan.h"
#include "graph/executor.h"
#include "models/model.h"
#include "text/token.h"

namespace quern {

/// Not for concurrent use. Runs on AVX2 at most, whose results are the same on every machine that has it and for any number of threads.
class SensitivityProbe {
  public:
    /// Runs the model as it is. The file must outlive this.
    /// @param tokens  one short text, within the model's window and vocabulary
    /// @throws ModelError  when quern cannot run the model, or its logits are not finite; DeviceError for memory
    SensitivityProbe(const GgufFile& file, std::span<const TokenId> tokens, int n_threads);
    ~SensitivityProbe();

    /// Mean squares of the inputs of each matrix on this text.
    const Importance& importance() const noexcept { return importance_; }

    /// Mean over the text of the KL divergence, in nats, of the next token's distribution with `instead` in the tensor's place.
    /// @throws ModelError  when it is not finite
    double divergence(const GgufTensor& tensor, const TensorView& instead);

  private:
    void run(Graph graph, bool observe);
    double divergence_of_row(size_t row) const noexcept;

    const GgufFile& file_;
    std::unique_ptr<const Model> model_;
    std::unique_ptr<Device> device_;
    ThreadPool pool_;
    std::unique_ptr<KvCache> cache_;
    std::vector<int32_t> tokens_, outputs_, pages_;
    std::vector<float> base_logprobs_;  ///< [outputs, n_vocab]
    std::vector<float> logits_;         ///< of the latest run
    Importance importance_;
};

}  // namespace quern
