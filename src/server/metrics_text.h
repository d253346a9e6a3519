// Prometheus's text exposition format 0.0.4.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quern {

/// Counts of values up to each of some bounds.
class Histogram {
  public:
    Histogram() = default;
    /// @param bounds  ascending; must outlive this
    explicit Histogram(std::span<const double> bounds) : bounds_(bounds), counts_(bounds.size() + 1) {}

    void add(double value, int64_t n = 1);
    std::span<const double> bounds() const { return bounds_; }
    /// How many were above bounds()[i - 1] and at most bounds()[i]; the last is of those above all.
    const std::vector<int64_t>& counts() const { return counts_; }
    double sum() const { return sum_; }

  private:
    std::span<const double> bounds_;
    std::vector<int64_t> counts_;
    double sum_ = 0;
};

using MetricLabels = std::vector<std::pair<std::string_view, std::string>>;

/// A page of metrics. The samples of a metric follow its head.
class MetricsText {
  public:
    /// Begins a metric. @param type  "counter", "gauge" or "histogram"
    void begin(std::string_view name, std::string_view type, std::string_view help);
    void sample(double value, const MetricLabels& labels = {});
    void sample(const Histogram& histogram, const MetricLabels& labels);

    void counter(std::string_view name, std::string_view help, double value);
    void gauge(std::string_view name, std::string_view help, double value);

    const std::string& text() const { return text_; }

  private:
    void line(std::string_view suffix, const MetricLabels& labels, double value);

    std::string text_, name_;
};

}  // namespace quern
