#include "sampling/filters.h"

namespace quern {

void apply_top_k(std::vector<Candidate>& candidates, int k) {
    if (k > 0 && static_cast<size_t>(k) < candidates.size()) keep_best(candidates, static_cast<size_t>(k));
}

}  // namespace quern
