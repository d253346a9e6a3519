// Source of the format: Prometheus's text exposition format 0.0.4.
#include "server/metrics.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"

namespace quern {
namespace {

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.15g", value);
    return text;
}

}  // namespace

void Histogram::add(double seconds) {
    const auto bound = std::lower_bound(bounds.begin(), bounds.end(), seconds);
    ++counts_[static_cast<size_t>(bound - bounds.begin())];
    sum_ += seconds;
    ++n_;
}

std::string Histogram::text(const std::string& name) const {
    std::string out = concat("# TYPE ", name, " histogram\n");
    int64_t up_to = 0;
    for (size_t i = 0; i < bounds.size(); ++i) {
        up_to += counts_[i];
        out += concat(name, "_bucket{le=\"", number(bounds[i]), "\"} ", up_to, "\n");
    }
    return out + concat(name, "_bucket{le=\"+Inf\"} ", n_, "\n", name, "_sum ", number(sum_), "\n", name, "_count ", n_, "\n");
}

std::string metric_text(const char* name, const char* type, const char* help, double value) {
    return concat("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n", name, " ", number(value), "\n");
}

void ServerMetrics::add_request(const AccessRecord& record, const std::string& route) {
    const std::lock_guard lock(mutex_);
    ++requests_[{route, record.status}];
    request_seconds_.add(static_cast<double>(record.time.count()) / 1e6);
    if (!record.is_complete) ++n_aborted_;
}

void ServerMetrics::add_generation(const GenerationStats& stats) {
    const std::lock_guard lock(mutex_);
    ++n_generations_;
    n_prompt_tokens_ += stats.n_prompt_tokens;
    n_cached_tokens_ += stats.n_cached_tokens;
    n_generated_tokens_ += stats.n_generated_tokens;
    prompt_seconds_ += stats.prompt_ms / 1000;
    generation_seconds_ += stats.generation_ms / 1000;
    queue_seconds_.add(stats.queue_ms / 1000);
    first_token_seconds_.add((stats.queue_ms + stats.prompt_ms) / 1000);
    if (stats.n_generated_tokens > 1) token_seconds_.add(stats.generation_ms / 1000 / static_cast<double>(stats.n_generated_tokens - 1));
}

std::string ServerMetrics::text() const {
    const std::lock_guard lock(mutex_);
    std::string out = "# HELP quern_requests_total Requests by route and status.\n# TYPE quern_requests_total counter\n";
    for (const auto& [key, n] : requests_)
        out += concat("quern_requests_total{route=\"", key.first, "\",status=\"", key.second, "\"} ", n, "\n");
    out += metric_text("quern_requests_aborted_total", "counter", "Requests whose client went away.", static_cast<double>(n_aborted_));
    out += metric_text("quern_generations_total", "counter", "Answers generated to their end.", static_cast<double>(n_generations_));
    out += metric_text("quern_prompt_tokens_total", "counter", "Tokens of prompts.", static_cast<double>(n_prompt_tokens_));
    out += metric_text("quern_prompt_cached_tokens_total", "counter", "Of these, found in the prefix cache.",
                       static_cast<double>(n_cached_tokens_));
    out += metric_text("quern_generated_tokens_total", "counter", "Tokens generated.", static_cast<double>(n_generated_tokens_));
    out += metric_text("quern_prompt_seconds_total", "counter", "Time from the start of prompts to first tokens, summed.", prompt_seconds_);
    out += metric_text("quern_generation_seconds_total", "counter", "Time from first to last tokens, summed.", generation_seconds_);
    out += request_seconds_.text("quern_request_seconds");
    out += queue_seconds_.text("quern_queue_seconds");
    out += first_token_seconds_.text("quern_first_token_seconds");
    out += token_seconds_.text("quern_token_seconds");
    return out;
}

}  // namespace quern
