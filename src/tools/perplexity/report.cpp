#include "tools/perplexity/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace quern {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::pair<const char*, double> percentiles[] = {{"99.9", 0.999}, {"99", 0.99}, {"95", 0.95}, {"90", 0.90},
                                                          {"50", 0.50},    {"10", 0.10}, {"5", 0.05},  {"1", 0.01}};

/// Linear between neighbours. @param sorted  at least one value, rising
double percentile(std::span<const double> sorted, double share) {
    const double at = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// A value and its standard error.
struct Estimate {
    double value = 0, error = 0;
};

struct Comparison {
    Perplexity base, model;
    Estimate log_ratio, ratio, kl, p_difference, p_difference_rms, same_top;
    std::vector<double> kls, p_differences;  // rising
};

Estimate estimate(const RunningMean& mean) { return {mean.mean(), mean.error()}; }

Comparison summarize(std::span<const TokenComparison> tokens) {
    RunningMean base, model, log_ratio, kl, p_difference, squares, same_top;
    Comparison result;
    for (const TokenComparison& token : tokens) {
        base.add(token.base_nll);
        model.add(token.nll);
        log_ratio.add(token.nll - token.base_nll);
        kl.add(token.kl_divergence);
        p_difference.add(token.p_difference);
        squares.add(token.p_difference * token.p_difference);
        same_top.add(token.same_top ? 1 : 0);
        result.kls.push_back(token.kl_divergence);
        result.p_differences.push_back(token.p_difference);
    }
    std::sort(result.kls.begin(), result.kls.end());
    std::sort(result.p_differences.begin(), result.p_differences.end());
    result.base = perplexity_of(base);
    result.model = perplexity_of(model);
    result.log_ratio = estimate(log_ratio);
    result.ratio = {std::exp(log_ratio.mean()), std::exp(log_ratio.mean()) * log_ratio.error()};
    result.kl = estimate(kl);
    result.p_difference = estimate(p_difference);
    const double rms = std::sqrt(squares.mean());
    result.p_difference_rms = {rms, rms > 0 ? squares.error() / (2 * rms) : 0};
    result.same_top = estimate(same_top);
    return result;
}

std::string line(const char* name, Estimate value, const char* unit = "") {
    char text[128];
    std::snprintf(text, sizeof text, "%-28s %12.6f +/- %.6f%s\n", name, value.value, value.error, unit);
    return text;
}

std::string line(const std::string& name, double value, const char* unit = "") {
    char text[128];
    std::snprintf(text, sizeof text, "%-28s %12.6f%s\n", name.c_str(), value, unit);
    return text;
}

Estimate percent(Estimate value) { return {100 * value.value, 100 * value.error}; }

std::string percentile_lines(const std::string& name, std::span<const double> sorted, double factor, const char* unit) {
    std::string text = line("Maximum " + name, factor * sorted.back(), unit);
    for (const auto& [label, share] : percentiles) {
        const std::string title = share == 0.5 ? "Median " + name : std::string(label) + "%   " + name;
        text += line(title, factor * percentile(sorted, share), unit);
    }
    return text + line("Minimum " + name, factor * sorted.front(), unit);
}

Json run_json(const PerplexityRun& run) {
    return {{"model", run.model},     {"n_ctx", run.n_ctx},     {"chunks", run.n_windows},
            {"tokens", run.n_scored}, {"seconds", run.seconds}, {"tokens_per_second", run.tokens_per_second()}};
}

Json percentile_json(std::span<const double> sorted) {
    Json json;
    json["max"] = sorted.back();
    for (const auto& [label, share] : percentiles)
        json[share == 0.5 ? std::string("median") : concat("p", label)] = percentile(sorted, share);
    json["min"] = sorted.front();
    return json;
}

std::string speed_line(const PerplexityRun& run) {
    char text[160];
    std::snprintf(text, sizeof text, "%lld windows of %lld tokens, %lld tokens scored, in %.1f s: %.1f tok/s\n",
                  static_cast<long long>(run.n_windows), static_cast<long long>(run.n_ctx), static_cast<long long>(run.n_scored),
                  run.seconds, run.tokens_per_second());
    return text;
}

}  // namespace

Perplexity perplexity_of(const RunningMean& nll) {
    const double value = std::exp(nll.mean());
    return {value, value * nll.error()};
}

std::string perplexity_text(const PerplexityRun& run, const RunningMean& nll) {
    const Perplexity found = perplexity_of(nll);
    char text[96];
    std::snprintf(text, sizeof text, "Final estimate: PPL = %.4f +/- %.5f\n", found.value, found.error);
    return text + speed_line(run);
}

std::string perplexity_json(const PerplexityRun& run, const RunningMean& nll) {
    const Perplexity found = perplexity_of(nll);
    Json json = {{"ppl", found.value}, {"ppl_error", found.error}};
    json.update(run_json(run));
    return json.dump() + "\n";
}

std::string comparison_text(const PerplexityRun& run, std::span<const TokenComparison> tokens) {
    const Comparison found = summarize(tokens);
    std::string text = "====== Perplexity\n";
    text += line("Mean PPL(model)", {found.model.value, found.model.error});
    text += line("Mean PPL(base)", {found.base.value, found.base.error});
    text += line("Mean ln(PPL ratio)", found.log_ratio);
    text += line("Mean PPL(model)/PPL(base)", found.ratio);
    text += "====== KL divergence, nats per token\n";
    text += line("Mean    KLD", found.kl) + percentile_lines("KLD", found.kls, 1, "");
    text += "====== Probability of the right token\n";
    text += line("Mean    \u0394p", percent(found.p_difference), " %") + percentile_lines("\u0394p", found.p_differences, 100, " %");
    text += line("RMS     \u0394p", percent(found.p_difference_rms), " %");
    text += line("Same top token", percent(found.same_top), " %");
    return text + speed_line(run);
}

std::string comparison_json(const PerplexityRun& run, std::span<const TokenComparison> tokens) {
    const Comparison found = summarize(tokens);
    Json kl = {{"mean", found.kl.value}, {"mean_error", found.kl.error}};
    kl.update(percentile_json(found.kls));
    Json p_difference = {
        {"mean", found.p_difference.value}, {"rms", found.p_difference_rms.value}, {"rms_error", found.p_difference_rms.error}};
    p_difference.update(percentile_json(found.p_differences));
    Json json = {{"ppl", found.model.value},
                 {"ppl_error", found.model.error},
                 {"ppl_base", found.base.value},
                 {"ppl_ratio", found.ratio.value},
                 {"ppl_ratio_error", found.ratio.error},
                 {"ln_ppl_ratio", found.log_ratio.value},
                 {"kl_divergence", kl},
                 {"p_difference", p_difference},
                 {"same_top", found.same_top.value},
                 {"same_top_error", found.same_top.error}};
    json.update(run_json(run));
    return json.dump() + "\n";
}

}  // namespace quern
