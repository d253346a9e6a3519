#include "tools/bench/load_report.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "tools/bench/prompt_source.h"

namespace quern {
namespace {

/// Sent at `sent`; n pieces, the first after `first`, the others `gap` apart.
RequestRecord answer(double sent, double first, double gap, int n) {
    RequestRecord record{.sent = sent};
    for (int i = 0; i < n; ++i) record.pieces.push_back(sent + first + gap * i);
    record.ended = record.pieces.back();
    record.n_characters = 4 * n;
    return record;
}

}  // namespace

TEST_CASE("a percentile is the least value that its share does not exceed") {
    const Distribution hundred([] {
        std::vector<double> values;
        for (int i = 100; i >= 1; --i) values.push_back(i);
        return values;
    }());
    CHECK(hundred.percentile(0.5) == 50);
    CHECK(hundred.percentile(0.9) == 90);
    CHECK(hundred.percentile(0.99) == 99);
    CHECK(hundred.percentile(1) == 100);
    CHECK(hundred.mean() == doctest::Approx(50.5));
    const Distribution one({3});
    CHECK(one.percentile(0.01) == 3);
    CHECK(one.percentile(0.99) == 3);
    CHECK(Distribution({4, 1, 3, 2}).percentile(0.5) == 2);
}

TEST_CASE("figures are those of the records") {
    std::vector<RequestRecord> records = {answer(0, 0.1, 0.01, 11), answer(0, 0.3, 0.02, 11), answer(1, 0.2, 0.01, 101)};
    for (RequestRecord& record : records) record.n_prompt_tokens = 50;
    records[0].n_cached_tokens = 20;
    const LoadReport report = make_report({.n_concurrent = 2, .n_requests = 3}, records);
    CHECK(report.seconds == doctest::Approx(2.2));
    CHECK(report.n_succeeded == 3);
    CHECK(report.n_input_tokens == 150);
    CHECK(report.n_cached_tokens == 20);
    CHECK(report.n_output_tokens == 123);
    CHECK(report.n_characters == 492);
    CHECK(report.per_second(report.n_output_tokens) == doctest::Approx(123 / 2.2));
    CHECK(report.input_seconds == doctest::Approx(0.2));
    CHECK(report.output_seconds == doctest::Approx((0.1 + 0.2 + 1.0) / 3));
    CHECK(report.first_token_s.percentile(0.5) == doctest::Approx(0.2));
    CHECK(report.between_tokens_s.size() == 120);
    CHECK(report.between_tokens_s.percentile(0.5) == doctest::Approx(0.01));
    CHECK(report.between_tokens_s.percentile(0.99) == doctest::Approx(0.02));
    CHECK(report.whole_s.percentile(1) == doctest::Approx(1.2));
    CHECK(report.stream_tokens_per_second.percentile(1) == doctest::Approx(100));
    CHECK(report.prompts_are_counted);
    CHECK(!report.counts_are_the_servers);
}

TEST_CASE("the throughput over time sums up to all tokens") {
    RequestRecord record = answer(0, 0.5, 0.1, 20);
    record.n_output_tokens = 40;  // two tokens in each piece
    const LoadReport report = make_report({.n_requests = 1}, {record});
    double sum = 0;
    for (const double each : report.throughput.tokens_per_second) sum += each * report.throughput.seconds_each;
    CHECK(sum == doctest::Approx(40));
    CHECK(report.counts_are_the_servers);
    CHECK(report_table(report).find("2.00 tokens in each piece") != std::string::npos);
}

TEST_CASE("failures are counted by their kind and leave the other figures alone") {
    std::vector<RequestRecord> records = {answer(0, 0.1, 0.01, 3)};
    for (int i = 0; i < 3; ++i)
        records.push_back({.sent = 0, .ended = 1, .failure_kind = i == 2 ? "timeout" : "HTTP 500", .failure = "why\nand"});
    const LoadReport report = make_report({.n_requests = 4}, records);
    CHECK(report.n_failed == 3);
    CHECK(report.failures.at("HTTP 500").first == 2);
    CHECK(report.whole_s.size() == 1);
    CHECK(report_table(report).find("2 x HTTP 500: why") != std::string::npos);
    CHECK(report_json(report, records)["errors"]["timeout"]["n"] == 1);
}

TEST_CASE("a table, JSON and a plot can be made when nothing succeeded") {
    const std::vector<RequestRecord> records = {{.sent = 0, .ended = 0, .failure_kind = "connect", .failure = "x"}};
    const LoadReport report = make_report({.server = "<&\">", .model = "m\x01", .n_requests = 1}, records);
    CHECK(report_table(report).find("0 of 1") != std::string::npos);
    CHECK(report_json(report, records)["ttft_ms"].is_null());
    const std::string plot = report_plot(report);
    CHECK(plot.find("&lt;&amp;&quot;&gt;") != std::string::npos);
    CHECK(plot.find('\x01') == std::string::npos);
    CHECK(plot.find("nan") == std::string::npos);
    CHECK(plot.find("inf") == std::string::npos);
}

TEST_CASE("made prompts are the same for a seed, share what they are told to, and differ in the rest") {
    PromptSource source = PromptSource::of_words(5);
    source.set_length(40, 10);
    const std::string first = source.prompt(0), second = source.prompt(1);
    CHECK(source.prompt(0).get<std::string>() == first);
    size_t n_same = 0;
    while (first[n_same] == second[n_same]) ++n_same;
    CHECK(std::count(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(n_same), ' ') >= 10);
    CHECK(std::count(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(n_same), ' ') < 15);
    CHECK(std::count(first.begin(), first.end(), ' ') == 39);
    source.set_length(40, 0);
    CHECK(source.prompt(0) != source.prompt(1));
    PromptSource ids = PromptSource::of_ids(5, 100);
    ids.set_length(50, 0);
    for (const auto& id : ids.prompt(3)) CHECK(id.get<int>() < 100);
    const PromptSource texts = PromptSource::of_texts({"a", "b"});
    CHECK(texts.prompt(3) == "b");
}

}  // namespace quern
