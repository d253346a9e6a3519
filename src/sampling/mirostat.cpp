#include "sampling/mirostat.h"

#include <algorithm>
#include <cmath>

namespace quern {
namespace {

constexpr size_t n_for_exponent = 100;

}  // namespace

// Version 1: how many candidates a Zipf distribution of the estimated exponent has below the limit.
double Mirostat::most_candidates(const std::vector<Candidate>& sorted) const {
    double products = 0, squares = 0;
    for (size_t i = 0; i + 1 < std::min(n_for_exponent, sorted.size()); ++i) {
        const double t = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
        const double b = std::log(static_cast<double>(sorted[i].weight) / static_cast<double>(sorted[i + 1].weight));
        if (!std::isfinite(b)) break;
        products += t * b;
        squares += t * t;
    }
    if (squares == 0) return 1;
    const double exponent = products / squares, epsilon = exponent - 1;
    const double n = static_cast<double>(sorted.size());
    // At epsilon = 0 the formula's limit is log.
    const double shrink = std::abs(epsilon) < 1e-9 ? std::log(n) : (1 - std::pow(n, -epsilon)) / epsilon;
    return std::pow(std::pow(2.0, limit_) / shrink, 1 / exponent);
}

void Mirostat::apply(std::vector<Candidate>& candidates, std::vector<Candidate>& scratch) const {
    if (candidates.size() < 2) return;
    scratch.assign(candidates.begin(), candidates.end());
    std::sort(scratch.begin(), scratch.end(), better);
    size_t n = 1;
    if (version_ == 1) {
        const double most = most_candidates(scratch);
        n = most < static_cast<double>(scratch.size()) ? static_cast<size_t>(std::max(1.0, most)) : scratch.size();
        if (std::isnan(most)) n = 1;
    } else {
        const double total = total_weight(candidates);
        const auto surprise = [&](const Candidate& each) { return -std::log2(static_cast<double>(each.weight) / total); };
        while (n < scratch.size() && surprise(scratch[n]) <= limit_) ++n;
    }
    const Candidate last = scratch[n - 1];
    std::erase_if(candidates, [&](const Candidate& each) { return better(last, each); });
}

void Mirostat::chosen(const std::vector<Candidate>& candidates, TokenId token) {
    for (const Candidate& each : candidates) {
        if (each.token != token.value || each.weight == 0.0f) continue;
        const double surprise = -std::log2(static_cast<double>(each.weight) / total_weight(candidates));
        limit_ -= rate_ * (surprise - target_);
        return;
    }
}

}  // namespace quern
