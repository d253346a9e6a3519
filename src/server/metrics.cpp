#include "server/metrics.h"

#include <algorithm>

namespace quern {
namespace {

// From a single token to an answer that fills a long window.
constexpr double request_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600};
// From a prompt in the cache to the longest ones; waiting for a turn is of the same order.
constexpr double first_token_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300};
// Readers follow at 0.25 s; below 1 ms only toys.
constexpr double token_bounds[] = {0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5};

// What proxies write for a client that has gone before it was answered.
constexpr int client_closed = 499;

constexpr const char* outcome_names[] = {"finished", "aborted", "failed"};

double to_double(int64_t n) { return static_cast<double>(n); }

struct CounterColumn {
    const char* name;
    const char* help;
    double (*value)(const ModelMetrics::Counts&);
};

constexpr CounterColumn counter_columns[] = {
    {"quern_prompt_tokens_total", "Tokens of prompts.", [](const auto& counts) { return to_double(counts.n_prompt_tokens); }},
    {"quern_prompt_cached_tokens_total", "Tokens of prompts that were found in the prefix cache.",
     [](const auto& counts) { return to_double(counts.n_cached_tokens); }},
    {"quern_generated_tokens_total", "Tokens generated, those of aborted answers included.",
     [](const auto& counts) { return to_double(counts.n_generated_tokens); }},
    {"quern_drafted_tokens_total", "Tokens guessed ahead by speculation.",
     [](const auto& counts) { return to_double(counts.n_drafted_tokens); }},
    {"quern_accepted_tokens_total", "Tokens guessed ahead that were right.",
     [](const auto& counts) { return to_double(counts.n_accepted_tokens); }},
    {"quern_prompt_seconds_total", "Time from the start of prompts to first tokens, summed.",
     [](const auto& counts) { return counts.prompt_seconds; }},
    {"quern_generation_seconds_total", "Time from first to last tokens, summed.",
     [](const auto& counts) { return counts.generation_seconds; }},
};

struct HistogramColumn {
    const char* name;
    const char* help;
    Histogram ModelMetrics::Counts::*value;
};

constexpr HistogramColumn histogram_columns[] = {
    {"quern_queue_seconds", "Time that requests waited for their turn.", &ModelMetrics::Counts::queue},
    {"quern_first_token_seconds", "Time until the first token, waiting included.", &ModelMetrics::Counts::first_token},
    {"quern_inter_token_seconds", "Time between the tokens of an answer.", &ModelMetrics::Counts::between_tokens},
};

}  // namespace

ModelMetrics::ModelMetrics() {
    counts_.queue = Histogram(first_token_bounds);
    counts_.first_token = Histogram(first_token_bounds);
    counts_.between_tokens = Histogram(token_bounds);
}

void ModelMetrics::add_generation(const GenerationStats& stats, Outcome outcome) {
    const std::lock_guard lock(mutex_);
    ++counts_.n_by_outcome[static_cast<size_t>(outcome)];
    counts_.n_generated_tokens += stats.n_generated_tokens;
    counts_.n_drafted_tokens += stats.n_drafted_tokens;
    counts_.n_accepted_tokens += stats.n_accepted_tokens;
    if (outcome != Outcome::finished && stats.n_generated_tokens == 0) return;  // its prompt may not have been computed
    counts_.n_prompt_tokens += stats.n_prompt_tokens;
    counts_.n_cached_tokens += stats.n_cached_tokens;
    counts_.n_longest = std::max(counts_.n_longest, stats.n_prompt_tokens + stats.n_generated_tokens);
    counts_.prompt_seconds += stats.prompt_ms / 1000;
    counts_.generation_seconds += stats.generation_ms / 1000;
    counts_.queue.add(stats.queue_ms / 1000);
    counts_.first_token.add((stats.queue_ms + stats.prompt_ms) / 1000);
}

void ModelMetrics::add_tokens(int64_t n, double seconds) {
    const std::lock_guard lock(mutex_);
    counts_.between_tokens.add(seconds / to_double(n), n);
}

ModelMetrics::Counts ModelMetrics::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

ServerMetrics::ServerMetrics() = default;

void ServerMetrics::add_request(const AccessRecord& record, const std::string& route) {
    const std::lock_guard lock(mutex_);
    ++requests_[{route, record.status == 0 ? client_closed : record.status}];
    request_seconds_.try_emplace(route, request_bounds).first->second.add(static_cast<double>(record.time.count()) / 1e6);
    if (!record.is_complete) ++n_aborted_;
}

ModelMetrics& ServerMetrics::model(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return models_[id];
}

std::map<std::string, ModelMetrics::Counts> ServerMetrics::model_counts() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, ModelMetrics::Counts> all;
    for (const auto& [id, model] : models_) all.emplace(id, model.counts());
    return all;
}

void ServerMetrics::write(MetricsText& out) const {
    {
        const std::lock_guard lock(mutex_);
        out.begin("quern_requests_total", "counter", "Requests by route and status; 499: the client went away before it was answered.");
        for (const auto& [key, n] : requests_) out.sample(to_double(n), {{"route", key.first}, {"status", std::to_string(key.second)}});
        out.counter("quern_requests_aborted_total", "Requests whose client went away before it had the whole answer.",
                    to_double(n_aborted_));
        out.begin("quern_request_seconds", "histogram", "Time from the request to the end of its answer.");
        for (const auto& [route, histogram] : request_seconds_) out.sample(histogram, {{"route", route}});
    }
    const auto models = model_counts();
    out.begin("quern_generations_total", "counter", "Answers by how they ended.");
    for (const auto& [id, counts] : models)
        for (size_t i = 0; i < std::size(outcome_names); ++i)
            out.sample(to_double(counts.n_by_outcome[i]), {{"model", id}, {"outcome", outcome_names[i]}});
    for (const CounterColumn& column : counter_columns) {
        out.begin(column.name, "counter", column.help);
        for (const auto& [id, counts] : models) out.sample(column.value(counts), {{"model", id}});
    }
    for (const HistogramColumn& column : histogram_columns) {
        out.begin(column.name, "histogram", column.help);
        for (const auto& [id, counts] : models) out.sample(counts.*column.value, {{"model", id}});
    }
}

void ServerMetrics::write_llama_names(MetricsText& out) const {
    ModelMetrics::Counts sum;
    for (const auto& [id, counts] : model_counts()) {
        sum.n_prompt_tokens += counts.n_prompt_tokens - counts.n_cached_tokens;  // llama.cpp counts those that were computed
        sum.n_generated_tokens += counts.n_generated_tokens;
        sum.n_longest = std::max(sum.n_longest, counts.n_longest);
        sum.prompt_seconds += counts.prompt_seconds;
        sum.generation_seconds += counts.generation_seconds;
    }
    const auto per_second = [](int64_t n, double seconds) { return seconds > 0 ? to_double(n) / seconds : 0.0; };
    out.counter("llamacpp:prompt_tokens_total", "Tokens of prompts that were computed.", to_double(sum.n_prompt_tokens));
    out.counter("llamacpp:prompt_seconds_total", "Time that prompts took.", sum.prompt_seconds);
    out.counter("llamacpp:tokens_predicted_total", "Tokens generated.", to_double(sum.n_generated_tokens));
    out.counter("llamacpp:tokens_predicted_seconds_total", "Time that answers took.", sum.generation_seconds);
    out.gauge("llamacpp:prompt_tokens_seconds", "Tokens of prompts per second of it.", per_second(sum.n_prompt_tokens, sum.prompt_seconds));
    out.gauge("llamacpp:predicted_tokens_seconds", "Tokens generated per second of an answer.",
              per_second(sum.n_generated_tokens, sum.generation_seconds));
    out.gauge("llamacpp:n_tokens_max", "Tokens of the longest text, prompt included.", to_double(sum.n_longest));
}

}  // namespace quern
