#include "tools/imatrix/statistics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

struct TensorStatistics {
    const std::string* name = nullptr;
    size_t n = 0;
    double sum = 0, least = 0, most = 0, deviation = 0, entropy = 0, outlying = 0;
    double likeness = -2;  ///< cosine to the same tensor one layer before; -2: there is none

    double mean() const { return n == 0 ? 0 : sum / static_cast<double>(n); }
};

/// "blk.4.ffn_up.weight" -> "blk.3.ffn_up.weight"; empty where there is none.
std::string name_in_layer_before(const std::string& name) {
    constexpr std::string_view prefix = "blk.";
    int64_t layer = 0;
    if (!name.starts_with(prefix)) return {};
    const char* const end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + prefix.size(), end, layer);
    if (error != std::errc() || layer < 1) return {};
    return concat(prefix, layer - 1, std::string_view(rest, static_cast<size_t>(end - rest)));
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
    double product = 0, squares_a = 0, squares_b = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        product += static_cast<double>(a[i]) * static_cast<double>(b[i]);
        squares_a += static_cast<double>(a[i]) * static_cast<double>(a[i]);
        squares_b += static_cast<double>(b[i]) * static_cast<double>(b[i]);
    }
    return squares_a > 0 && squares_b > 0 ? product / std::sqrt(squares_a * squares_b) : 0;
}

TensorStatistics statistics_of(const std::string& name, const std::vector<float>& means) {
    TensorStatistics found{.name = &name, .n = means.size()};
    const auto [least, most] = std::minmax_element(means.begin(), means.end());
    found.least = static_cast<double>(*least);
    found.most = static_cast<double>(*most);
    for (const float each : means) found.sum += static_cast<double>(each);
    double squares = 0;
    for (const float each : means) {
        const double distance = static_cast<double>(each) - found.mean(), share = static_cast<double>(each) / std::max(found.sum, 1e-300);
        squares += distance * distance;
        if (share > 0) found.entropy -= share * std::log2(share);
    }
    found.deviation = std::sqrt(squares / static_cast<double>(found.n));
    size_t n_outlying = 0;
    for (const float each : means) n_outlying += static_cast<double>(each) > found.mean() + found.deviation;
    found.outlying = static_cast<double>(n_outlying) / static_cast<double>(found.n);
    return found;
}

}  // namespace

std::string imatrix_statistics(const Imatrix& imatrix) {
    const Importance means = importance_of(imatrix);
    std::vector<TensorStatistics> all;
    size_t width = 6;
    for (const auto& [name, values] : means) {
        TensorStatistics found = statistics_of(name, values);
        const auto before = means.find(name_in_layer_before(name));
        if (before != means.end() && before->second.size() == values.size()) found.likeness = cosine(values, before->second);
        width = std::max(width, printable(name, 64).size());
        all.push_back(found);
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.sum > b.sum; });
    char line[320];
    std::snprintf(line, sizeof line, "%-*s %12s %11s %11s %11s %11s %8s %8s %8s %9s\n", static_cast<int>(width), "tensor", "sum(mean sq)",
                  "min", "max", "mean", "deviation", "columns", "entropy", "above", "cos(prev)");
    std::string text = line;
    for (const TensorStatistics& each : all) {
        std::snprintf(line, sizeof line, "%-*s %12.5g %11.4g %11.4g %11.4g %11.4g %8zu %7.2f%% %7.2f%% ", static_cast<int>(width),
                      printable(*each.name, 64).c_str(), each.sum, each.least, each.most, each.mean(), each.deviation, each.n,
                      each.n > 1 ? 100 * each.entropy / std::log2(static_cast<double>(each.n)) : 0.0, 100 * each.outlying);
        text += line;
        std::snprintf(line, sizeof line, each.likeness > -2 ? "%9.4f\n" : "        -\n", each.likeness);
        text += line;
    }
    text += concat(imatrix.entries.size(), " tensors, ", imatrix.n_chunks(), " chunks of ", imatrix.chunk_size, " tokens");
    for (const std::string& dataset : imatrix.datasets)
        text += concat(&dataset == &imatrix.datasets.front() ? ", from " : ", ", printable(dataset));
    return text + "\nentropy: of the columns' shares, 100% where all are alike; above: columns more than a deviation above the mean\n";
}

}  // namespace quern
