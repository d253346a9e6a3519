// Carries out a plan: reads each tensor, encodes its rows on all threads, and writes the file, one tensor in memory at a time.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/cpu_features.h"
#include "base/thread_pool.h"
#include "convert/quantize_plan.h"
#include "gguf/gguf_writer.h"

namespace quern {

/// How far it is: called after each tensor, on the calling thread.
using QuantizeProgress = std::function<void(const PlannedTensor& done, uint64_t bytes_read, uint64_t bytes_written)>;

/// What encoding runs on.
struct EncodeResources {
    EncodeResources(ThreadPool& threads, Isa kernels = best_isa()) : pool(threads), isa(kernels) {}

    ThreadPool& pool;
    Isa isa;  ///< REQUIRES: this machine can run it
};

/// The tensor in its planned format. Same bytes for any number of threads, instruction set and machine.
/// @throws ModelError  when a value is not finite: names the tensor and the place
std::vector<std::byte> encode_tensor(const PlannedTensor& planned, const EncodeResources& resources);

/// Describes the tensors to `writer`, opens it at `path`, writes all data and finishes.
/// @throws ModelError, InvalidInput, DeviceError  and then there is no file at `path`, or the one that was there
void write_quantized(std::span<const PlannedTensor> plan, GgufWriter& writer, const std::string& path, const EncodeResources& resources,
                     const QuantizeProgress& progress);

}  // namespace quern
