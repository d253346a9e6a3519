#include "graph/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace quern {
namespace {

constexpr uint64_t alignment = 64;

uint64_t bytes_of(const Value& value, int64_t n_tokens, int64_t n_outputs) {
    const auto bytes = static_cast<uint64_t>(value.n_cols * (value.output_rows ? n_outputs : n_tokens)) * sizeof(float);
    return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace

// Largest first, each at the lowest place that is free during its life.
void plan_memory(Plan& plan, int64_t n_tokens, int64_t n_outputs) {
    std::vector<size_t> order(plan.values.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const auto bytes = [&](size_t at) { return bytes_of(plan.values[at], n_tokens, n_outputs); };
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return bytes(a) > bytes(b); });
    std::vector<size_t> placed;  // by offset
    plan.workspace_bytes = 0;
    for (const size_t at : order) {
        Value& value = plan.values[at];
        uint64_t offset = 0;
        for (const size_t other_at : placed) {
            const Value& other = plan.values[other_at];
            if (other.last_step < value.first_step || value.last_step < other.first_step) continue;
            if (offset + bytes(at) <= other.offset) break;
            offset = std::max(offset, other.offset + bytes(other_at));
        }
        value.offset = offset;
        plan.workspace_bytes = std::max(plan.workspace_bytes, offset + bytes(at));
        const auto place =
            std::upper_bound(placed.begin(), placed.end(), offset, [&](uint64_t o, size_t other) { return o < plan.values[other].offset; });
        placed.insert(place, at);
    }
}

}  // namespace quern
