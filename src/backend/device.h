// Something that can run the phases of a forward pass: the CPU today. A device whose memory the host cannot reach
// will also need ways to bring weights and a batch's numbers there, and logits back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "backend/operations.h"
#include "base/cpu_features.h"
#include "tensor/buffer.h"

namespace quern {

/// What the largest batch needs, so that a device can take its scratch memory once.
struct ScratchNeeds {
    int64_t n_tokens = 0;  ///< in a batch
    int64_t max_n_in = 0;  ///< widest input of any matmul
    int n_heads = 0, head_dim = 0;
    int64_t n_expert_rows = 0;  ///< tokens times experts that each uses
    int64_t expert_n_embd = 0, expert_n_ff = 0;
    int64_t low_rank = 0, expert_low_rank = 0;  ///< ranks of the adapters of one phase, added up
};

/// Operations run in the order they are issued. Used from one thread, the engine's.
class Device {
  public:
    virtual ~Device() = default;

    /// "CPU (avx512, 2 threads)"
    virtual std::string description() const = 0;

    /// Exact bytes that reserve() will take.
    virtual uint64_t scratch_bytes(const ScratchNeeds& needs) const = 0;
    /// Takes the scratch memory, or more of it if an earlier call needed less. Call before any operation. @throws DeviceError
    virtual void reserve(const ScratchNeeds& needs) = 0;
    /// Zeroed memory of this device. @throws DeviceError
    virtual Buffer allocate(uint64_t bytes, const char* purpose) = 0;
    /// True when linear(), experts() and embed() can read weights of this format.
    virtual bool supports(DType weights) const = 0;

    virtual void embed(const EmbedOperation& operation) noexcept = 0;
    virtual void linear(const LinearOperation& operation) noexcept = 0;
    virtual void attend(const AttentionOperation& operation) noexcept = 0;
    virtual void norm(const NormOperation& operation) noexcept = 0;
    virtual void rope(const RopeOperation& operation) noexcept = 0;
    virtual void store(const StoreOperation& operation) noexcept = 0;
    virtual void elementwise(const ElementwiseOperation& operation) noexcept = 0;
    virtual void copy_heads(const CopyHeadsOperation& operation) noexcept = 0;
    virtual void experts(const ExpertsOperation& operation) noexcept = 0;
    virtual void select_rows(const SelectRowsOperation& operation) noexcept = 0;
};

/// The CPU with its best instruction set, or a narrower one. @throws InvalidInput when the machine lacks `isa`
/// @param n_threads  0: usable_cores()
std::unique_ptr<Device> make_cpu_device(int n_threads, std::optional<Isa> isa);

}  // namespace quern
