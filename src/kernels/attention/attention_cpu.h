// The attention and combine kernels of each instruction set.
#pragma once

#include "kernels/attention/attention.h"

namespace quern::scalar {
void attention(const AttentionTask& task) noexcept;
void combine(const CombineTask& task) noexcept;
}  // namespace quern::scalar

namespace quern::avx2 {
void attention(const AttentionTask& task) noexcept;
void combine(const CombineTask& task) noexcept;
}  // namespace quern::avx2

namespace quern::avx512 {
void attention(const AttentionTask& task) noexcept;
void combine(const CombineTask& task) noexcept;
}  // namespace quern::avx512
