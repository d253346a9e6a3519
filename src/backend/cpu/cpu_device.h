// The CPU as a device: kernels of one instruction set, spread over a team of threads.
#pragma once

#include "backend/device.h"
#include "base/thread_pool.h"
#include "kernels/cpu_kernels.h"

namespace quern {

class CpuDevice final : public Device {
  public:
    CpuDevice(int n_threads, Isa isa) : kernels_(cpu_kernels(isa)), pool_(n_threads) {}

    std::string description() const override;
    uint64_t scratch_bytes(const ScratchNeeds& needs) const override;
    void reserve(const ScratchNeeds& needs) override;
    Buffer allocate(uint64_t bytes, const char* purpose) override { return Buffer(bytes, purpose); }
    bool supports(DType weights) const override { return kernels_.matmul(weights, 1).kernel && kernels_.decode(weights); }

    void embed(const EmbedOperation& operation) noexcept override;
    void linear(const LinearOperation& operation) noexcept override;
    void attend(const AttentionOperation& operation) noexcept override;
    void norm(const NormOperation& operation) noexcept override;
    void rope(const RopeOperation& operation) noexcept override;
    void store(const StoreOperation& operation) noexcept override;
    void elementwise(const ElementwiseOperation& operation) noexcept override;
    void select_rows(const SelectRowsOperation& operation) noexcept override;

  private:
    // Attention of answers: at most so many shares of a cache, and so many tokens at a time. They are part of what is computed, so they
    // depend on nothing.
    static constexpr int64_t most_splits = 16, tokens_per_round = 16;

    /// Where each part of the scratch memory starts, in bytes.
    struct ScratchLayout {
        uint64_t activations[n_activation_formats];
        uint64_t partial_out, partial_stats, bytes;
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
    MatmulChoice matmul_for(const LinearOperation& operation, DType weights) const noexcept;

    const CpuKernels& kernels_;
    ThreadPool pool_;
    ScratchNeeds needs_;  // of all calls of reserve()
    Buffer scratch_;
    std::byte* activations_[n_activation_formats] = {};
    float* partial_out_ = nullptr;
    float* partial_stats_ = nullptr;
};

}  // namespace quern
