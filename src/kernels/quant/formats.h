// The number formats that quern computes with. A new one is its folder's files and one line here (and one in formats_cpu.h).
#pragma once

#include "kernels/quant/float/bf16.h"
#include "kernels/quant/float/f16.h"
#include "kernels/quant/float/f32.h"
#include "kernels/quant/fp4/mxfp4.h"
#include "kernels/quant/i/iq1_m.h"
#include "kernels/quant/i/iq1_s.h"
#include "kernels/quant/i/iq2_s.h"
#include "kernels/quant/i/iq2_xs.h"
#include "kernels/quant/i/iq2_xxs.h"
#include "kernels/quant/i/iq3_s.h"
#include "kernels/quant/i/iq3_xxs.h"
#include "kernels/quant/i/iq4_nl.h"
#include "kernels/quant/i/iq4_xs.h"
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
#include "kernels/quant/ternary/tq1_0.h"
#include "kernels/quant/ternary/tq2_0.h"

namespace quern {

template <typename... Formats>
struct FormatList {};

template <typename... First, typename... Second>
FormatList<First..., Second...> join(FormatList<First...>, FormatList<Second...>);

using FloatFormats = FormatList<F32, F16, BF16>;
using QuantizedFormats = FormatList<Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, IQ3_XXS, IQ3_S, IQ2_XXS,
                                    IQ2_XS, IQ2_S, IQ1_S, IQ1_M, TQ1_0, TQ2_0, MXFP4>;
using AllFormats = decltype(join(FloatFormats{}, QuantizedFormats{}));

}  // namespace quern
