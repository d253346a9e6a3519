// Carries out a plan: reads each tensor, encodes its rows on all threads, and writes the file, one tensor in memory at a time.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "convert/quantize_plan.h"
#include "gguf/gguf_writer.h"

namespace quern {

/// How far it is: called after each tensor, on the calling thread.
using QuantizeProgress = std::function<void(const PlannedTensor& done, uint64_t bytes_read, uint64_t bytes_written)>;

/// The tensor in its planned format. Same bytes for any number of threads and on any machine.
/// @throws ModelError  when a value is not finite: names the tensor and the place
std::vector<std::byte> encode_tensor(const PlannedTensor& planned, ThreadPool& pool);

/// Describes the tensors to `writer`, opens it at `path`, writes all data and finishes.
/// @throws ModelError, InvalidInput, DeviceError  and then there is no file at `path`, or the one that was there
void write_quantized(std::span<const PlannedTensor> plan, GgufWriter& writer, const std::string& path, ThreadPool& pool,
                     const QuantizeProgress& progress);

}  // namespace quern
