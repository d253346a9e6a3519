#include "sampling/filters.h"

namespace quern {

void apply_min_p(std::vector<Candidate>& candidates, float p) {
    if (p > 0.0f) std::erase_if(candidates, [&](const Candidate& each) { return each.weight < p; });
}

}  // namespace quern
