// The CPU as a device: kernels of one instruction set, spread over a team of threads.
#pragma once

#include <optional>

#include "backend/device.h"
#include "base/thread_pool.h"
#include "kernels/cpu_kernels.h"

namespace quern {

/// What a layer of experts works on: a row for each token and each expert that it uses, in the order of the experts.
struct ExpertRows {
    TokenKernels kernels = TokenKernels::many;
    int64_t n_rows = 0, n_used = 0, n_experts = 0;
    int32_t* chosen = nullptr;     ///< [n_tokens, n_used]
    float* shares = nullptr;       ///< [n_tokens, n_used], their weights
    int32_t* row_of = nullptr;     ///< [n_tokens, n_used]: place among the rows
    int32_t* source_of = nullptr;  ///< [n_rows]: token * n_used + choice
    int32_t* first_row = nullptr;  ///< [n_experts + 1]
    std::byte* activations = nullptr;
    int64_t widest = 0;                    ///< bytes between rows of different experts in `activations`
    float *gate = nullptr, *up = nullptr;  ///< [n_rows, n_ff]
    float* down = nullptr;                 ///< [n_rows, n_embd]
};

class CpuDevice final : public Device {
  public:
    CpuDevice(int n_threads, Isa isa) : kernels_(cpu_kernels(isa)), pool_(n_threads) {}

    std::string description() const override;
    uint64_t scratch_bytes(const ScratchNeeds& needs) const override;
    void reserve(const ScratchNeeds& needs) override;
    Buffer allocate(uint64_t bytes, const char* purpose) override { return Buffer(bytes, purpose); }
    bool supports(DType weights) const override { return kernels_.matmul(weights, TokenKernels::few).kernel && kernels_.decode(weights); }

    void embed(const EmbedOperation& operation) noexcept override;
    void linear(const LinearOperation& operation) noexcept override;
    void attend(const AttentionOperation& operation) noexcept override;
    void norm(const NormOperation& operation) noexcept override;
    void rope(const RopeOperation& operation) noexcept override;
    void store(const StoreOperation& operation) noexcept override;
    void elementwise(const ElementwiseOperation& operation) noexcept override;
    void copy_heads(const CopyHeadsOperation& operation) noexcept override;
    void experts(const ExpertsOperation& operation) noexcept override;
    void select_rows(const SelectRowsOperation& operation) noexcept override;

  private:
    // Attention of answers: at most so many shares of a cache, and so many tokens at a time. They are part of what is computed, so they
    // depend on nothing.
    static constexpr int64_t most_splits = 16, tokens_per_round = 16;

    /// Where each part of the scratch memory starts, in bytes.
    struct ScratchLayout {
        uint64_t activations[n_activation_formats];
        uint64_t partial_out, partial_stats, bytes;
        uint64_t low_rank, chosen, shares, row_of, source_of, first_row, expert_activations, gate, up, down;
        int64_t widest;
    };
    ScratchLayout scratch_layout(const ScratchNeeds& needs) const;

    void norm_row(const Norm& norm, const float* x, int64_t n, float* out) const noexcept;
    void prepare_activations(const LinearOperation& operation) noexcept;
    void finish_rows(const LinearOperation& operation, const LinearOutput& output, int64_t row, int64_t n_rows) const noexcept;
    void store_row(const KvTarget& target, int64_t token, int64_t first_head, const float* x, int64_t n, int64_t head_dim) const noexcept;
    void attend_prompts(const AttentionOperation& operation) noexcept;
    void attend_answers(const AttentionOperation& operation) noexcept;
    struct AnswerTile;  // neighbouring tokens of one sequence whose caches are divided alike
    void attend_round(const AttentionOperation& operation, std::span<const AnswerTile> tiles, int64_t most_splits_here) noexcept;
    void sort_by_expert(const ExpertsOperation& operation) noexcept;
    void fill_expert_rows(const TensorView& weight, Rows from, bool by_token) noexcept;
    /// One of the products of a layer of experts.
    struct ExpertProduct {
        const TensorView& weight;
        const TensorView& bias;
        std::span<const LowRank> adapters;
        float* out;
        std::optional<Gating> gating;  ///< then out is up's and is joined into gate's
    };
    void multiply_experts(const ExpertProduct& product) noexcept;
    void project_low_rank(const LinearOperation& operation) noexcept;
    static void project_block(const LowRank& adapter, MatmulKernel kernel, const MatmulTask& task, int64_t first_token) noexcept;
    void add_low_rank(const LinearOperation& operation, const LinearOutput& output, int64_t row, int64_t n_rows) const noexcept;
    void project_experts_low_rank(std::span<const LowRank> adapters, int64_t n_in, Rows from, bool by_token) noexcept;
    void add_expert_low_rank(const ExpertProduct& product, int64_t expert, int64_t row, int64_t n_rows) const noexcept;

    const CpuKernels& kernels_;
    ThreadPool pool_;
    ScratchNeeds needs_;  // of all calls of reserve()
    Buffer scratch_;
    std::byte* activations_[n_activation_formats] = {};
    float* partial_out_ = nullptr;
    float* partial_stats_ = nullptr;
    float* low_rank_ = nullptr;  // a x of every token, the adapters of a phase side by side
    ExpertRows experts_;
};

}  // namespace quern
