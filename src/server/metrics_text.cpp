// Source: Prometheus's documentation, "Exposition formats".
#include "server/metrics_text.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/utf8.h"

namespace quern {
namespace {

std::string number(double value) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    return {text, end};
}

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : repair_utf8(text)) {
        if (c == '\\' || c == '"') out += '\\';
        out += c == '\n' ? "\\n" : std::string(1, c);
    }
    return out;
}

}  // namespace

void Histogram::add(double value, int64_t n) {
    const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
    counts_[static_cast<size_t>(bound - bounds_.begin())] += n;
    sum_ += value * static_cast<double>(n);
}

void MetricsText::begin(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += concat("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}

void MetricsText::line(std::string_view suffix, const MetricLabels& labels, double value) {
    text_ += concat(name_, suffix);
    for (size_t i = 0; i < labels.size(); ++i) text_ += concat(i == 0 ? "{" : ",", labels[i].first, "=\"", escaped(labels[i].second), "\"");
    text_ += concat(labels.empty() ? " " : "} ", number(value), "\n");
}

void MetricsText::sample(double value, const MetricLabels& labels) { line("", labels, value); }

void MetricsText::sample(const Histogram& histogram, const MetricLabels& labels) {
    MetricLabels bucket = labels;
    bucket.emplace_back("le", "");
    int64_t n = 0;
    for (size_t i = 0; i < histogram.counts().size(); ++i) {
        n += histogram.counts()[i];
        bucket.back().second = i < histogram.bounds().size() ? number(histogram.bounds()[i]) : "+Inf";
        line("_bucket", bucket, static_cast<double>(n));
    }
    line("_sum", labels, histogram.sum());
    line("_count", labels, static_cast<double>(n));
}

void MetricsText::counter(std::string_view name, std::string_view help, double value) {
    begin(name, "counter", help);
    sample(value);
}

void MetricsText::gauge(std::string_view name, std::string_view help, double value) {
    begin(name, "gauge", help);
    sample(value);
}

}  // namespace quern
