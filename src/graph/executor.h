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
    std::span<const int32_t> types = {};      ///< [n_tokens], not negative; empty: all of type 0
    /// The kernels that make logits of them: the same ones for a token of a prompt and for the tokens that follow.
    TokenKernels output_kernels = TokenKernels::few;
    /// [sequences, n_adapters]: the scale of each adapter of the graph for each sequence. Empty: all 0.
    std::span<const float> adapter_scales;
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
    Executor(const Graph& graph, Device& device, BatchLimits limits, Fusion fusion = Fusion::on, TokenKernels kernels = TokenKernels::many);

    /// The bytes that an Executor of these arguments will take: workspace and device scratch.
    static uint64_t memory_bytes(const Graph& graph, const Device& device, BatchLimits limits);
    /// Of these, the workspace: executors of one device share the scratch memory of the one that needs most.
    static uint64_t workspace_bytes(const Graph& graph, BatchLimits limits);

    /// Runs one batch; its keys and values are added to the cache.
    /// @return logits [outputs.size(), n_vocab], valid until the next run
    /// REQUIRES: the batch is within the limits and its page tables cover its positions.
    std::span<const float> run(const Batch& batch, const KvCache& cache);

    /// The same in portions, between which other executors of the device may run: begin(), then advance() until it says that all is done,
    /// then logits(). What the batch points to, and the cache, must stay until then. A new begin() drops what was not finished.
    void begin(const Batch& batch, const KvCache& cache);
    /// Runs the next step of the plan. False when that was the last one.
    bool advance();
    std::span<const float> logits();
    /// Steps of the plan that are done.
    int64_t n_done() const noexcept { return static_cast<int64_t>(next_step_); }

    /// From the next run on, shows `observer` the input of every linear phase; an empty one ends that, and then it costs nothing.
    /// What the observer throws comes out of run(). REQUIRES: a device whose memory the host can read.
    void observe(LinearObserver observer);

    const Plan& plan() const noexcept { return plan_; }
    const BatchLimits& limits() const noexcept { return limits_; }

  private:
    class Run;
    void spread_scales();

    Device& device_;
    BatchLimits limits_;
    TokenKernels kernels_;
    Plan plan_;
    std::vector<Rope> ropes_;
    Buffer workspace_;
    std::vector<std::vector<float>> angles_;     // by rope: [n_tokens, n_dims]
    std::vector<int64_t> slots_;                 // by token: its place in the cache
    std::vector<int64_t> window_slots_;          // the same in the windowed layers, if there are some
    std::vector<SequenceSpan> window_spans_;     // the batch's sequences as those layers see them
    std::vector<int32_t> positions_;             // by token, at most last_position_
    std::vector<int32_t> types_;                 // likewise
    int32_t last_position_ = INT32_MAX;          // that a table of positions has
    int32_t last_type_ = INT32_MAX;              // likewise
    int n_adapters_ = 0;                         // up to the last that reaches the graph; batches may bring scales of more
    std::vector<float> scales_, output_scales_;  // by adapter: of each token, of each output row
    std::vector<bool> in_use_;                   // by adapter: some token of the batch has it

    Batch batch_;  // of the run that is under way
    const KvCache* cache_ = nullptr;
    size_t next_step_ = 0;
    LinearObserver observer_;
    Buffer observed_;  // normed rows, which fused phases keep to themselves
};

}  // namespace quern
