// The matmul algorithms on AVX-512 VNNI: rows for a few tokens, panels for many.
#if defined(__x86_64__)
#include "kernels/matmul/matmul_cpu.h"
#include "kernels/matmul/panel_32.h"
#include "kernels/matmul/panel_float.h"
#include "kernels/matmul/panel_k.h"
#include "kernels/matmul/quantize_activations.h"
#include "kernels/simd/avx512.h"

namespace quern::avx512 {
namespace {

template <typename Format>
void multiply(const MatmulTask& task) noexcept {
    if (task.n_tokens < min_panel_tokens(Format::dtype)) return multiply_rows<Simd, Format>(task);
    if constexpr (Format::block_values == 256)
        multiply_panels<Wide, Format, KPanel>(task);
    else if constexpr (Format::block_values == 32)
        multiply_panels<Wide, Format, Panel32>(task);
    else
        multiply_panels<Wide, Format, FloatPanel>(task);
}

template <typename... Formats>
MatmulKernel find(DType dtype, FormatList<Formats...>) noexcept {
    MatmulKernel found = nullptr;
    ((Formats::dtype == dtype ? void(found = multiply<Formats>) : void()), ...);
    return found;
}

}  // namespace

MatmulKernel matmul_for(DType weights) noexcept { return find(weights, AllFormats{}); }
QuantizeKernel quantize_for(ActivationFormat format) noexcept { return find_quantize_kernel<Simd>(format); }

}  // namespace quern::avx512
#endif
