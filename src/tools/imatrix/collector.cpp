#include "tools/imatrix/collector.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace quern {
namespace {

constexpr int64_t columns_per_block = 256;  // of one thread: their sums stay in L1

}  // namespace

void ImatrixCollector::add(const MatmulInput& input) {
    std::vector<std::string_view> wanted;
    for (const std::string_view name : input.tensors)
        if (with_output_ || name.starts_with("blk.")) wanted.push_back(name);
    if (wanted.empty() || input.n_rows == 0) return;
    sums_.assign(static_cast<size_t>(input.n_cols), 0.0);
    // Each column's sum is made by one thread, row by row: the same for any number of threads.
    pool_.for_each((input.n_cols + columns_per_block - 1) / columns_per_block, [&](int64_t block, int) noexcept {
        const int64_t first = block * columns_per_block, n = std::min(columns_per_block, input.n_cols - first);
        double* const sums = sums_.data() + first;
        for (int64_t row = 0; row < input.n_rows; ++row) {
            const float* x = input.rows + row * input.stride + first;
            for (int64_t i = 0; i < n; ++i) sums[i] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
        }
    });
    if (!std::all_of(sums_.begin(), sums_.end(), [](double sum) { return std::isfinite(sum); }))
        throw ModelError(concat("the inputs of ", wanted.front(), " are not finite on this text: the model is broken, or its file is"));
    for (const std::string_view name : wanted) {
        ImatrixEntry& entry = collected_.entries[std::string(name)];
        entry.sums.resize(static_cast<size_t>(input.n_cols * input.n_experts));
        entry.counts.resize(static_cast<size_t>(input.n_experts));
        double* const sums = entry.sums.data() + input.expert * input.n_cols;
        for (size_t i = 0; i < sums_.size(); ++i) sums[i] += sums_[i];
        entry.counts[static_cast<size_t>(input.expert)] += static_cast<double>(input.n_rows);
    }
}

Imatrix ImatrixCollector::take() { return std::exchange(collected_, {}); }

}  // namespace quern
