// The table of kernels of the instruction set avx2.
#include "kernels/activation/activation_cpu.h"
#include "kernels/attention/attention_cpu.h"
#include "kernels/cpu_kernels_table.h"
#include "kernels/matmul/matmul_cpu.h"
#include "kernels/norm/norm_cpu.h"
#include "kernels/quant/decode.h"
#include "kernels/rope/rope_cpu.h"

namespace quern::avx2 {

const CpuKernels& kernels() {
    static const CpuKernels table{
        .isa = Isa::avx2,
        .matmul = matmul_for,
        .decode = decode_for,
        .quantize = quantize_for,
        .attention = attention,
        .combine = combine,
        .rope = rope,
        .rms_norm = rms_norm,
        .layer_norm = layer_norm,
        .activate = activate,
        .gate = gate,
        .add = add,
        .add_scaled = add_scaled,
        .to_f16 = to_f16,
    };
    return table;
}

}  // namespace quern::avx2
