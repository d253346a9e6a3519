#include "tools/bench/read_bandwidth.h"
#include "tools/bench/read_loop.h"

namespace quern {

typedef uint64_t Vector256 __attribute__((vector_size(32), may_alias));

uint64_t read_all_avx2(const std::byte* bytes, size_t n_bytes) { return sum_vectors<Vector256>(bytes, n_bytes); }

}  // namespace quern
