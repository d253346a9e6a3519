// The table of each instruction set, filled in by cpu_kernels_*.cpp.
#pragma once

#include "kernels/cpu_kernels.h"

namespace quern::scalar {
const CpuKernels& kernels();
}
namespace quern::avx2 {
const CpuKernels& kernels();
}
namespace quern::avx512 {
const CpuKernels& kernels();
}
