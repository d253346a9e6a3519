// Runs a planned graph over batches: binds each step's values to the workspace and hands the phases to the device.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "backend/device.h"
#include "graph/fusion.h"
#include "graph/kv_cache.h"

namespace quern {

/// Tokens of one or more sequences; a sequence's tokens are neighbours in the batch.
struct Batch {
    std::span<const int32_t> tokens;          ///< [n_tokens], valid ids
    std::span<const SequenceSpan> sequences;  ///< cover the tokens in order
    std::span<const int32_t> outputs;         ///< rows of the batch that want logits, rising
};

struct BatchLimits {
    int64_t n_tokens = 512;
    int64_t n_outputs = 64;
};

/// The rows that a linear phase multiplies its matrices with, after the norm where the phase has one.
struct LinearInput {
    std::span<const LinearStepOutput> matrices;  ///< all read these rows
    Rows rows;                                   ///< [n_rows, n_cols]; valid during the call
    int64_t n_rows = 0, n_cols = 0;
};
using LinearObserver = std::function<void(const LinearInput&)>;

class Executor {
  public:
    /// Plans the graph and takes all memory that any batch within the limits needs. `device` must outlive this.
    /// @throws DeviceError
    Executor(const Graph& graph, Device& device, BatchLimits limits, Fusion fusion = Fusion::on);

    /// The bytes that an Executor of these arguments will take: workspace and device scratch.
    static uint64_t memory_bytes(const Graph& graph, const Device& device, BatchLimits limits);

    /// Runs one batch; its keys and values are added to the cache.
    /// @return logits [outputs.size(), n_vocab], valid until the next run
    /// REQUIRES: the batch is within the limits and its page tables cover its positions.
    std::span<const float> run(const Batch& batch, const KvCache& cache);

    /// From the next run on, shows `observer` the input of every linear phase; an empty one ends that, and then it costs nothing.
    /// What the observer throws comes out of run(). REQUIRES: a device whose memory the host can read.
    void observe(LinearObserver observer);

    const Plan& plan() const noexcept { return plan_; }
    const BatchLimits& limits() const noexcept { return limits_; }

  private:
    class Run;

    Device& device_;
    BatchLimits limits_;
    Plan plan_;
    std::vector<Rope> ropes_;
    Buffer workspace_;
    std::vector<std::vector<float>> angles_;  // by rope: [n_tokens, n_dims]
    std::vector<int64_t> slots_;              // by token: its place in the cache
    LinearObserver observer_;
    Buffer observed_;  // normed rows, which fused phases keep to themselves
};

}  // namespace quern
