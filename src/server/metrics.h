// What the server counts about itself, for GET /metrics.
#pragma once

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/request.h"
#include "server/http/answer.h"
#include "server/metrics_text.h"

namespace quern {

/// How a generation ended.
enum class Outcome : uint8_t { finished, aborted, failed };

/// Counts of the answers of one model, for as long as the server runs. Any thread.
class ModelMetrics {
  public:
    ModelMetrics();

    /// Call once for each generation, with what it has come to.
    void add_generation(const GenerationStats& stats, Outcome outcome);
    /// `n` tokens came `seconds` after those before them.
    void add_tokens(int64_t n, double seconds);

    struct Counts {
        int64_t n_by_outcome[3] = {};
        int64_t n_prompt_tokens = 0, n_cached_tokens = 0, n_generated_tokens = 0, n_drafted_tokens = 0, n_accepted_tokens = 0;
        int64_t n_longest = 0;  ///< tokens of the longest text, prompt included
        double prompt_seconds = 0, generation_seconds = 0;
        Histogram queue, first_token, between_tokens;
    };
    Counts counts() const;

  private:
    mutable std::mutex mutex_;
    Counts counts_;
};

/// Any thread.
class ServerMetrics {
  public:
    ServerMetrics();

    void add_request(const AccessRecord& record, const std::string& route);
    /// Lives as long as this.
    ModelMetrics& model(const std::string& id);

    /// All of it in Prometheus's text format.
    void write(MetricsText& out) const;
    /// The same under llama.cpp's names, which dashboards know. They do not tell models apart.
    void write_llama_names(MetricsText& out) const;

  private:
    std::map<std::string, ModelMetrics::Counts> model_counts() const;

    mutable std::mutex mutex_;
    std::map<std::pair<std::string, int>, int64_t> requests_;  // by route and status; guarded by mutex_, like all below
    std::map<std::string, Histogram> request_seconds_;         // by route
    std::map<std::string, ModelMetrics> models_;
    int64_t n_aborted_ = 0;
};

}  // namespace quern
