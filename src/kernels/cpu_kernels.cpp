// Which table belongs to an instruction set.
#include "kernels/cpu_kernels.h"

#include "kernels/cpu_kernels_table.h"

namespace quern {

const CpuKernels& cpu_kernels(Isa isa) {
#if defined(__x86_64__)
    if (isa == Isa::avx512) return avx512::kernels();
    if (isa == Isa::avx2) return avx2::kernels();
#endif
    (void)isa;
    return scalar::kernels();
}

}  // namespace quern
