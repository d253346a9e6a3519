#include "kernels/attention/attention_cpu.h"
#include "kernels/attention/attention_kernel.h"
#include "kernels/simd/float_avx2.h"

namespace quern::avx2 {

void attention(const AttentionTask& task) noexcept { attention_kernel<Float>(task); }
void combine(const CombineTask& task) noexcept { combine_kernel<Float>(task); }

}  // namespace quern::avx2
