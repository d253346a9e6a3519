// The plot of a load report, written as SVG by hand: two histograms and a line.
#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "tools/bench/load_report.h"

namespace quern {
namespace {

constexpr double width = 960, height = 640;
constexpr double n_ticks = 5;
constexpr size_t n_bins = 40;

struct Panel {
    double x, y, w, h;  // of the area within the axes
    const char* title;
    const char* unit;
};

struct Axis {
    double most = 1, step = 1;
};

std::string number(double value) {
    std::ostringstream out;
    out << std::setprecision(4) << value;
    return out.str();
}

std::string fixed(double value) {
    std::ostringstream out;
    out << std::fixed << std::setprecision(1) << value;
    return out.str();
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '"')
            out += "&quot;";
        else if (static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f)
            out += c;
        else
            out += '?';
    }
    return out;
}

/// From 0 to a round number above `most`, with about n_ticks round steps.
Axis axis_to(double most) {
    if (!(most > 0) || !std::isfinite(most)) return {};
    const double power = std::pow(10, std::floor(std::log10(most / n_ticks)));
    for (const double each : {1.0, 2.0, 2.5, 5.0, 10.0}) {
        const double step = each * power;
        if (most / step <= n_ticks) return {.most = step * std::ceil(most / step), .step = step};
    }
    return {.most = most, .step = most};
}

std::string text_at(double x, double y, std::string_view style, std::string_view text) {
    return "<text x=\"" + fixed(x) + "\" y=\"" + fixed(y) + "\" " + std::string(style) + ">" + escaped(text) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const char* kind) {
    return "<line x1=\"" + fixed(x1) + "\" y1=\"" + fixed(y1) + "\" x2=\"" + fixed(x2) + "\" y2=\"" + fixed(y2) + "\" class=\"" + kind +
           "\"/>\n";
}

std::string frame(const Panel& panel, const Axis& across, const Axis& up) {
    std::string out = text_at(panel.x, panel.y - 14, "class=\"title\"", panel.title);
    const double bottom = panel.y + panel.h;
    for (double at = 0; at <= up.most * 1.0001; at += up.step) {
        const double y = bottom - panel.h * at / up.most;
        out += line(panel.x, y, panel.x + panel.w, y, "grid") + text_at(panel.x - 8, y + 4, "text-anchor=\"end\"", number(at));
    }
    for (double at = 0; at <= across.most * 1.0001; at += across.step)
        out += text_at(panel.x + panel.w * at / across.most, bottom + 18, "text-anchor=\"middle\"", number(at));
    out += text_at(panel.x + panel.w, bottom + 34, "text-anchor=\"end\" class=\"unit\"", panel.unit);
    return out + line(panel.x, bottom, panel.x + panel.w, bottom, "axis");
}

/// Bars over the values up to a little beyond the 99th percentile; the last bar holds all above.
std::string histogram(const Panel& panel, const Distribution& values, double unit) {
    if (values.empty())
        return frame(panel, {}, {}) + text_at(panel.x + panel.w / 2, panel.y + panel.h / 2, "text-anchor=\"middle\"", "none");
    const Axis across = axis_to(std::min(values.percentile(1), 1.5 * values.percentile(0.99)) * unit);
    std::array<double, n_bins> bins{};
    for (const double value : values.sorted()) {
        const auto bin = static_cast<size_t>(std::max(0.0, value * unit / across.most * n_bins));
        bins[std::min(bin, n_bins - 1)] += 1;
    }
    const Axis up = axis_to(*std::max_element(bins.begin(), bins.end()));
    std::string out = frame(panel, across, up);
    const double w = panel.w / n_bins;
    for (size_t i = 0; i < n_bins; ++i) {
        if (bins[i] == 0) continue;
        const double h = std::max(1.0, panel.h * bins[i] / up.most);
        out += "<rect x=\"" + fixed(panel.x + static_cast<double>(i) * w + 0.5) + "\" y=\"" + fixed(panel.y + panel.h - h) + "\" width=\"" +
               fixed(w - 1) + "\" height=\"" + fixed(h) + "\" class=\"bar\"/>\n";
    }
    double label_y = panel.y + 4;
    for (const auto& [name, share] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}}) {
        const double value = values.percentile(share) * unit;
        const double x = panel.x + panel.w * std::min(1.0, value / across.most);
        out += line(x, panel.y, x, panel.y + panel.h, "mark");
        const bool is_right = x > panel.x + panel.w * 0.7;
        out += text_at(x + (is_right ? -4 : 4), label_y, is_right ? "text-anchor=\"end\" class=\"note\"" : "class=\"note\"",
                       std::string(name) + " " + number(value));
        label_y += 15;
    }
    return out;
}

std::string over_time(const Panel& panel, const Throughput& throughput) {
    const auto& values = throughput.tokens_per_second;
    const Axis across = axis_to(throughput.seconds_each * static_cast<double>(values.size()));
    const Axis up = axis_to(*std::max_element(values.begin(), values.end()));
    const auto x_of = [&](size_t i) { return fixed(panel.x + panel.w * throughput.seconds_each * static_cast<double>(i) / across.most); };
    const std::string bottom = fixed(panel.y + panel.h);
    std::string outline;
    for (size_t i = 0; i < values.size(); ++i) {
        const std::string y = fixed(panel.y + panel.h - panel.h * values[i] / up.most);
        outline += concat('L', x_of(i), ' ', y, 'L', x_of(i + 1), ' ', y);
    }
    return frame(panel, across, up) + "<path d=\"M" + x_of(0) + " " + bottom + outline + "L" + x_of(values.size()) + " " + bottom +
           "Z\" class=\"area\"/>\n";
}

}  // namespace

std::string report_plot(const LoadReport& report) {
    const LoadConditions& asked = report.conditions;
    std::ostringstream out;
    out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << width << ' ' << height << "\" width=\"" << width << "\" height=\""
        << height << "\">\n"
        << "<style>text{font:12px sans-serif;fill:#333}.head{font-size:15px;font-weight:bold}.title{font-size:13px;font-weight:bold}"
           ".unit,.note{fill:#666;font-size:11px}.grid{stroke:#e4e4e4}.axis{stroke:#888}.mark{stroke:#c0392b;stroke-dasharray:4 3}"
           ".bar{fill:#3b7dbd}.area{fill:#3b7dbd;fill-opacity:.35;stroke:#3b7dbd}</style>\n"
        << "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    out << text_at(60, 32, "class=\"head\"", asked.model + " at " + asked.server);
    std::ostringstream under;
    under << report.n_succeeded << " of " << asked.n_requests << " requests, " << asked.n_concurrent << " at once, "
          << report.n_input_tokens << " tokens in, " << report.n_output_tokens << " out, "
          << fixed(report.per_second(report.n_output_tokens)) << " output tok/s";
    out << text_at(60, 52, "class=\"unit\"", under.str());
    out << histogram({60, 100, 390, 200, "Time to the first token: requests", "ms"}, report.first_token_s, 1000);
    out << histogram({530, 100, 390, 200, "Time between tokens: gaps", "ms"}, report.between_tokens_s, 1000);
    out << over_time({60, 390, 860, 190, "Output tokens a second, all requests together", "seconds since the first request"},
                     report.throughput);
    out << "</svg>\n";
    return out.str();
}

}  // namespace quern
