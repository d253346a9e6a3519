// What this machine can do at most: the denominators of the roofline column.
#pragma once

#include "base/cpu_features.h"

namespace quern {

struct MachinePeaks {
    double read_bytes_per_s = 0;  ///< all threads, sequential reads of more than the caches hold
    double int8_ops_per_s = 0;    ///< all threads, multiply and add of bytes counted as two
    double float_ops_per_s = 0;   ///< all threads, f32 FMA counted as two
    double bf16_ops_per_s = 0;    ///< all threads, products of bf16 pairs, or f32 where there are none
};

/// Best of a few tries, some 0.2 s each.
MachinePeaks measure_peaks(int n_threads, Isa isa);

}  // namespace quern
