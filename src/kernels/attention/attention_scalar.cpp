#include "kernels/attention/attention_cpu.h"
#include "kernels/attention/attention_kernel.h"
#include "kernels/simd/float_scalar.h"

namespace quern::scalar {

void attention(const AttentionTask& task) noexcept { attention_kernel<Float>(task); }
void combine(const CombineTask& task) noexcept { combine_kernel<Float>(task); }

}  // namespace quern::scalar
