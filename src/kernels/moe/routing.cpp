#include "kernels/moe/routing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern {
namespace {

constexpr double lowest = -std::numeric_limits<double>::infinity();

void score(const Routing& routing, const float* logits, double* scores) noexcept {
    const int n = routing.n_experts;
    double largest = lowest, total = 0;
    for (int i = 0; i < n; ++i) {
        scores[i] = std::isnan(logits[i]) ? lowest : static_cast<double>(logits[i]);
        largest = std::max(largest, scores[i]);
    }
    if (routing.scoring == ExpertScoring::sigmoid) {
        for (int i = 0; i < n; ++i) scores[i] = 1.0 / (1.0 + std::exp(-scores[i]));
        return;
    }
    if (std::isinf(largest)) largest = 0.0;
    for (int i = 0; i < n; ++i) total += scores[i] = std::exp(std::min(scores[i] - largest, 700.0));
    for (int i = 0; i < n; ++i) scores[i] = total > 0 ? scores[i] / total : 0.0;
}

// Experts of all but the best groups fall out of the choice.
void keep_best_groups(const Routing& routing, double* choice) noexcept {
    const int size = routing.n_experts / routing.n_groups;
    double group_score[most_experts];
    for (int group = 0; group < routing.n_groups; ++group) {
        double best = lowest, second = lowest;
        for (int i = group * size; i < (group + 1) * size; ++i) {
            second = std::max(second, std::min(best, choice[i]));
            best = std::max(best, choice[i]);
        }
        group_score[group] = routing.choice_bias && size > 1 ? best + second : best;
    }
    bool kept[most_experts] = {};
    for (int taken = 0; taken < routing.n_groups_used; ++taken) {
        int best = -1;
        for (int group = 0; group < routing.n_groups; ++group)
            if (!kept[group] && (best < 0 || group_score[group] > group_score[best])) best = group;
        kept[best] = true;
    }
    for (int i = 0; i < routing.n_experts; ++i)
        if (!kept[i / size]) choice[i] = lowest;
}

}  // namespace

void choose_experts(const Routing& routing, const float* logits, int32_t* experts, float* weights) noexcept {
    double scores[most_experts], choice[most_experts];
    score(routing, logits, scores);
    for (int i = 0; i < routing.n_experts; ++i)
        choice[i] = scores[i] + (routing.choice_bias ? static_cast<double>(routing.choice_bias[i]) : 0.0);
    if (routing.n_groups_used < routing.n_groups) keep_best_groups(routing, choice);
    bool chosen[most_experts] = {};
    double total = 0;
    for (int taken = 0; taken < routing.n_used; ++taken) {
        int best = -1;
        for (int i = 0; i < routing.n_experts; ++i)
            if (!chosen[i] && (best < 0 || choice[i] > choice[best])) best = i;
        chosen[best] = true;
        experts[taken] = best;
        total += scores[best];
    }
    const double scale = static_cast<double>(routing.factor) / (routing.normalize ? std::max(total, 1e-20) : 1.0);
    for (int taken = 0; taken < routing.n_used; ++taken) weights[taken] = static_cast<float>(scores[experts[taken]] * scale);
}

}  // namespace quern
