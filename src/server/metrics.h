// What the server counts about itself, for GET /metrics.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "engine/request.h"
#include "server/http/answer.h"

namespace quern {

/// Counts of values up to each of some bounds, as Prometheus keeps them.
class Histogram {
  public:
    static constexpr std::array<double, 14> bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60};

    void add(double seconds);
    /// The lines of one metric in Prometheus's text format.
    std::string text(const std::string& name) const;

  private:
    std::array<int64_t, bounds.size() + 1> counts_{};
    double sum_ = 0;
    int64_t n_ = 0;
};

/// Any thread.
class ServerMetrics {
  public:
    void add_request(const AccessRecord& record, const std::string& route);
    void add_generation(const GenerationStats& stats);

    /// All of it in Prometheus's text format.
    std::string text() const;

  private:
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, int>, int64_t> requests_;  // by route and status; guarded by mutex_, like all below
    Histogram request_seconds_, first_token_seconds_, token_seconds_, queue_seconds_;
    int64_t n_prompt_tokens_ = 0, n_cached_tokens_ = 0, n_generated_tokens_ = 0, n_generations_ = 0, n_aborted_ = 0;
    double prompt_seconds_ = 0, generation_seconds_ = 0;
};

/// One sample with its HELP and TYPE lines. @param type  "counter" or "gauge"
std::string metric_text(const char* name, const char* type, const char* help, double value);

}  // namespace quern
