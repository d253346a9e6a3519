#include "convert/imatrix.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

void add_entry(const std::string& name, const ImatrixEntry& more, ImatrixEntry& entry) {
    if (entry.sums.empty()) {
        entry = more;
        return;
    }
    if (entry.sums.size() != more.sums.size() ||
        (entry.counts.size() != more.counts.size() && entry.counts.size() != 1 && more.counts.size() != 1))
        throw InvalidInput(concat("importance matrices of different models cannot be added: ", printable(name), " has ", entry.sums.size(),
                                  " values in one and ", more.sums.size(), " in another"));
    // Old files have one count for all experts.
    entry.counts.resize(std::max(entry.counts.size(), more.counts.size()), entry.counts.front());
    for (size_t i = 0; i < entry.sums.size(); ++i) entry.sums[i] += more.sums[i];
    for (size_t i = 0; i < entry.counts.size(); ++i) entry.counts[i] += more.counts[more.counts.size() == 1 ? 0 : i];
}

bool holds_any(const std::string& name, const std::vector<std::string>& parts) {
    return std::any_of(parts.begin(), parts.end(), [&](const std::string& part) { return name.find(part) != std::string::npos; });
}

/// Mean squares of a tensor's columns; empty when it has seen nothing.
std::vector<float> means_of(const ImatrixEntry& entry) {
    const auto n_cols = static_cast<size_t>(entry.n_cols());
    std::vector<float> means(entry.sums.size());
    std::vector<double> of_all(n_cols);
    double n_seen = 0;
    for (size_t m = 0; m < entry.counts.size(); ++m) {
        if (!(entry.counts[m] > 0)) continue;
        ++n_seen;
        for (size_t i = 0; i < n_cols; ++i) {
            const double mean = entry.sums[m * n_cols + i] / entry.counts[m];
            means[m * n_cols + i] = static_cast<float>(mean);
            of_all[i] += mean;
        }
    }
    if (n_seen == 0) return {};
    for (size_t m = 0; m < entry.counts.size(); ++m)
        for (size_t i = 0; i < n_cols && !(entry.counts[m] > 0); ++i) means[m * n_cols + i] = static_cast<float>(of_all[i] / n_seen);
    return means;
}

}  // namespace

int64_t Imatrix::n_chunks() const noexcept {
    double most = 0;
    for (const auto& [name, entry] : entries)
        for (const double count : entry.counts) most = std::max(most, count);
    return static_cast<int64_t>(std::min(most, 9e15)) / std::max<int64_t>(1, chunk_size);
}

void Imatrix::add(const Imatrix& other) {
    for (const auto& [name, entry] : other.entries) add_entry(name, entry, entries[name]);
    for (const std::string& each : other.datasets)
        if (std::find(datasets.begin(), datasets.end(), each) == datasets.end()) datasets.push_back(each);
}

Importance importance_of(const Imatrix& imatrix) {
    Importance importance;
    for (const auto& [name, entry] : imatrix.entries)
        if (std::vector<float> means = means_of(entry); !means.empty()) importance.emplace(name, std::move(means));
    return importance;
}

void choose_entries(Imatrix& imatrix, const std::vector<std::string>& included, const std::vector<std::string>& excluded) {
    std::erase_if(imatrix.entries, [&](const auto& each) {
        return (!included.empty() && !holds_any(each.first, included)) || holds_any(each.first, excluded);
    });
}

void check_imatrix(const Imatrix& imatrix, const std::string& path, const GgufFile& model) {
    size_t n_known = 0;
    for (const auto& [name, entry] : imatrix.entries) {
        const GgufTensor* tensor = model.find_tensor(name);
        if (!tensor) continue;
        ++n_known;
        const Shape& shape = tensor->view.shape;
        const int64_t n_matrices = shape.rank() >= 3 ? shape[shape.rank() - 3] : 1, n_cols = shape.n_cols();
        const auto n = static_cast<int64_t>(entry.sums.size());
        if (n != n_cols && n != n_cols * n_matrices)
            throw ModelError(concat(printable(path), ": holds ", n, " values for ", printable(name), ", whose rows are ", n_cols,
                                    " long in the model: it was made from another model"));
    }
    if (n_known == 0 && !imatrix.entries.empty())
        throw ModelError(concat(printable(path), ": none of its ", imatrix.entries.size(), " tensors is in ", printable(model.path()),
                                ": it was made from another model"));
}

}  // namespace quern
