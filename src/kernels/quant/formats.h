// The number formats that quern computes with. A new one is its folder's files and one line here (and one in formats_cpu.h).
#pragma once

#include "kernels/quant/float/bf16.h"
#include "kernels/quant/float/f16.h"
#include "kernels/quant/float/f32.h"
#include "kernels/quant/k/q2_k.h"
#include "kernels/quant/k/q3_k.h"
#include "kernels/quant/k/q4_k.h"
#include "kernels/quant/k/q5_k.h"
#include "kernels/quant/k/q6_k.h"
#include "kernels/quant/legacy/q4_0.h"
#include "kernels/quant/legacy/q4_1.h"
#include "kernels/quant/legacy/q5_0.h"
#include "kernels/quant/legacy/q5_1.h"
#include "kernels/quant/legacy/q8_0.h"

namespace quern {

template <typename... Formats>
struct FormatList {};

using AllFormats = FormatList<F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K>;

}  // namespace quern
