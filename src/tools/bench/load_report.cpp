#include "tools/bench/load_report.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <numeric>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

using Json = nlohmann::ordered_json;

constexpr double shares[] = {0.5, 0.9, 0.99};
constexpr double ms = 1000;

Throughput throughput_of(const std::vector<RequestRecord>& records, double begin, double end) {
    constexpr double stretches[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 3600};
    constexpr double most_stretches = 100;
    Throughput out;
    for (const double each : stretches) {
        out.seconds_each = each;
        if ((end - begin) / each <= most_stretches) break;
    }
    const auto n = static_cast<size_t>(std::clamp((end - begin) / out.seconds_each + 1, 1.0, 100'000.0));
    out.tokens_per_second.resize(n);
    for (const RequestRecord& record : records) {
        if (record.pieces.empty()) continue;
        const double tokens_each = static_cast<double>(record.output_tokens()) / static_cast<double>(record.pieces.size());
        for (const double at : record.pieces) {
            const double stretch = std::max(0.0, (at - begin) / out.seconds_each);
            out.tokens_per_second[std::min(n - 1, static_cast<size_t>(stretch))] += tokens_each / out.seconds_each;
        }
    }
    return out;
}

std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));
std::string format(const char* pattern, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, pattern);
    std::vsnprintf(text, sizeof text, pattern, arguments);
    va_end(arguments);
    return text;
}

std::string row(const char* name, const Distribution& values, double unit) {
    if (values.empty()) return format("%-22s         -\n", name);
    std::string line = format("%-22s%10.2f", name, values.mean() * unit);
    for (const double share : shares) line += format("%10.2f", values.percentile(share) * unit);
    return line + format("%10.2f\n", values.percentile(1) * unit);
}

Json to_json(const Distribution& values, double unit) {
    if (values.empty()) return nullptr;
    return {{"n", values.size()},
            {"mean", values.mean() * unit},
            {"least", values.sorted().front() * unit},
            {"p50", values.percentile(0.5) * unit},
            {"p90", values.percentile(0.9) * unit},
            {"p99", values.percentile(0.99) * unit},
            {"most", values.percentile(1) * unit}};
}

std::string prompt_words(const LoadConditions& asked) {
    if (asked.n_prompt == 0) return "given prompts";
    return concat("prompts of ", asked.n_prompt, " tokens",
                  asked.n_shared > 0 ? concat(" (", asked.n_shared, " of them the same in all)") : std::string());
}

}  // namespace

Distribution::Distribution(std::vector<double> values) : sorted_(std::move(values)) { std::sort(sorted_.begin(), sorted_.end()); }

double Distribution::mean() const {
    return sorted_.empty() ? 0 : std::accumulate(sorted_.begin(), sorted_.end(), 0.0) / static_cast<double>(sorted_.size());
}

double Distribution::percentile(double share) const {
    const double rank = std::ceil(share * static_cast<double>(sorted_.size()) - 1e-9);
    return sorted_[std::min(sorted_.size(), static_cast<size_t>(std::max(rank, 1.0))) - 1];
}

LoadReport make_report(LoadConditions conditions, const std::vector<RequestRecord>& records) {
    LoadReport report{.conditions = std::move(conditions)};
    std::vector<double> first, between, whole, speed;
    double begin = records.front().sent, end = begin;
    report.counts_are_the_servers = report.prompts_are_counted = true;
    for (const RequestRecord& record : records) {
        begin = std::min(begin, record.sent);
        end = std::max(end, record.ended);
        if (!record.succeeded()) {
            ++report.n_failed;
            auto& [n, message] = report.failures[record.failure_kind];
            if (n++ == 0) message = record.failure;
            continue;
        }
        ++report.n_succeeded;
        const int64_t n_tokens = record.output_tokens();
        report.counts_are_the_servers = report.counts_are_the_servers && record.n_output_tokens.has_value();
        report.prompts_are_counted = report.prompts_are_counted && record.n_prompt_tokens.has_value();
        report.n_input_tokens += record.n_prompt_tokens.value_or(report.conditions.n_prompt);
        report.n_cached_tokens += record.n_cached_tokens.value_or(0);
        report.n_output_tokens += n_tokens;
        report.n_pieces += static_cast<int64_t>(record.pieces.size());
        report.n_characters += record.n_characters;
        whole.push_back(record.ended - record.sent);
        if (record.pieces.empty()) continue;
        first.push_back(record.pieces.front() - record.sent);
        report.output_seconds += record.pieces.back() - record.pieces.front();
        for (size_t i = 1; i < record.pieces.size(); ++i) between.push_back(record.pieces[i] - record.pieces[i - 1]);
        if (record.pieces.size() > 1 && n_tokens > 1 && record.pieces.back() > record.pieces.front())
            speed.push_back(static_cast<double>(n_tokens - 1) / (record.pieces.back() - record.pieces.front()));
    }
    report.seconds = end - begin;
    report.output_seconds /= static_cast<double>(std::max<size_t>(1, first.size()));
    report.throughput = throughput_of(records, begin, end);
    report.first_token_s = Distribution(std::move(first));
    report.input_seconds = report.first_token_s.mean();
    report.between_tokens_s = Distribution(std::move(between));
    report.whole_s = Distribution(std::move(whole));
    report.stream_tokens_per_second = Distribution(std::move(speed));
    return report;
}

std::string report_table(const LoadReport& report) {
    const LoadConditions& asked = report.conditions;
    std::string out =
        concat(printable(asked.server), ", ", printable(asked.model), ", ", asked.is_chat ? "chat completions" : "completions",
               ", streamed: ", asked.n_concurrent, " at once, ", prompt_words(asked), ", answers of up to ", asked.n_output,
               "; temperature ", asked.temperature, ", seed ", asked.seed, ", ", asked.n_warm_up, " to warm up\n");
    out += concat(
        "tokens as the ", report.counts_are_the_servers ? "server counts them" : "pieces of the stream that arrived",
        report.prompts_are_counted || asked.n_prompt == 0 ? "" : "; prompts as long as wished, for the server does not count them", "\n\n");
    out += format("%-22s%10lld of %lld in %.2f s, %.2f a second\n", "requests", static_cast<long long>(report.n_succeeded),
                  static_cast<long long>(asked.n_requests), report.seconds, report.per_second(report.n_succeeded));
    out += format("%-22s%10lld%12.2f tok/s   %8.3f s to the first token", "input tokens", static_cast<long long>(report.n_input_tokens),
                  report.per_second(report.n_input_tokens), report.input_seconds);
    if (report.n_cached_tokens > 0) out += format("   %lld cached", static_cast<long long>(report.n_cached_tokens));
    out += format("\n%-22s%10lld%12.2f tok/s   %8.3f s from the first to the last\n", "output tokens",
                  static_cast<long long>(report.n_output_tokens), report.per_second(report.n_output_tokens), report.output_seconds);
    out += format("%-22s%10lld%12.2f a second\n", "characters", static_cast<long long>(report.n_characters),
                  report.per_second(report.n_characters));
    if (report.n_pieces > 0 && static_cast<double>(report.n_output_tokens) > 1.05 * static_cast<double>(report.n_pieces))
        out += format("%-22s%10.2f tokens in each piece of a stream, so gaps are those between pieces\n", "",
                      static_cast<double>(report.n_output_tokens) / static_cast<double>(report.n_pieces));
    out += format("\n%-22s%10s%10s%10s%10s%10s\n", "", "mean", "p50", "p90", "p99", "most");
    out += row("first token, ms", report.first_token_s, ms);
    out += row("between tokens, ms", report.between_tokens_s, ms);
    out += row("whole answer, ms", report.whole_s, ms);
    out += row("one answer's tok/s", report.stream_tokens_per_second, 1);
    if (report.n_failed == 0) return out + "\nno errors\n";
    out += concat("\n", report.n_failed, " failed:\n");
    for (const auto& [kind, what] : report.failures) out += concat("  ", what.first, " x ", kind, ": ", one_line(what.second), "\n");
    return out;
}

Json report_json(const LoadReport& report, const std::vector<RequestRecord>& records) {
    const LoadConditions& asked = report.conditions;
    Json out = {{"server", asked.server}, {"model", asked.model}};
    out["conditions"] = {{"api", asked.is_chat ? "chat" : "completions"},
                         {"concurrency", asked.n_concurrent},
                         {"requests", asked.n_requests},
                         {"prompt_len", asked.n_prompt},
                         {"output_len", asked.n_output},
                         {"shared_prefix", asked.n_shared},
                         {"temperature", asked.temperature},
                         {"seed", asked.seed},
                         {"warm_up", asked.n_warm_up}};
    out["token_counts"] = report.counts_are_the_servers ? "usage" : "pieces";
    out["prompt_counts"] = report.prompts_are_counted ? "usage" : "wished";
    out["seconds"] = report.seconds;
    out["succeeded"] = report.n_succeeded;
    out["failed"] = report.n_failed;
    out["errors"] = Json::object();
    for (const auto& [kind, what] : report.failures) out["errors"][kind] = {{"n", what.first}, {"first", what.second}};
    out["requests_per_second"] = report.per_second(report.n_succeeded);
    const auto amount = [&](int64_t n) { return Json{{"n", n}, {"per_second", report.per_second(n)}}; };
    out["input_tokens"] = amount(report.n_input_tokens);
    out["input_tokens"]["cached"] = report.n_cached_tokens;
    out["input_tokens"]["mean_seconds"] = report.input_seconds;
    out["output_tokens"] = amount(report.n_output_tokens);
    out["output_tokens"]["mean_seconds"] = report.output_seconds;
    out["characters"] = amount(report.n_characters);
    out["ttft_ms"] = to_json(report.first_token_s, ms);
    out["inter_token_ms"] = to_json(report.between_tokens_s, ms);
    out["latency_ms"] = to_json(report.whole_s, ms);
    out["stream_tokens_per_second"] = to_json(report.stream_tokens_per_second, 1);
    out["throughput"] = {{"seconds_each", report.throughput.seconds_each}, {"tokens_per_second", report.throughput.tokens_per_second}};
    out["each"] = Json::array();
    for (const RequestRecord& record : records) {
        Json each = {{"sent_s", record.sent}, {"ended_s", record.ended}};
        each["first_token_s"] = record.pieces.empty() ? Json(nullptr) : Json(record.pieces.front());
        each["prompt_tokens"] = record.n_prompt_tokens ? Json(*record.n_prompt_tokens) : Json(nullptr);
        each["output_tokens"] = record.output_tokens();
        each["error"] = record.succeeded() ? Json(nullptr) : Json(record.failure);
        out["each"].push_back(std::move(each));
    }
    return out;
}

}  // namespace quern
