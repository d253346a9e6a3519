#include "engine/text_vector.h"

#include "base/error.h"

namespace quern {

std::vector<float> pool_rows(std::span<const float> rows, int64_t n_embd, Pooling pooling) {
    const auto n = static_cast<size_t>(n_embd);
    QUERN_CHECK(n > 0 && !rows.empty() && rows.size() % n == 0);
    const auto copy = [](std::span<const float> values) { return std::vector<float>(values.begin(), values.end()); };
    switch (pooling) {
        case Pooling::none:
            return copy(rows);
        case Pooling::cls:
            return copy(rows.first(n));
        case Pooling::last:
            return copy(rows.last(n));
        case Pooling::mean:
            break;
    }
    std::vector<double> sums(n);
    for (size_t i = 0; i < rows.size(); ++i) sums[i % n] += static_cast<double>(rows[i]);
    std::vector<float> mean(n);
    for (size_t i = 0; i < n; ++i) mean[i] = static_cast<float>(sums[i] * static_cast<double>(n) / static_cast<double>(rows.size()));
    return mean;
}

}  // namespace quern
