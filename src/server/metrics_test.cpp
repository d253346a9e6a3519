#include "server/metrics.h"

#include <doctest/doctest.h>

namespace quern {
namespace {

std::string page_of(const ServerMetrics& metrics) {
    MetricsText out;
    metrics.write(out);
    return out.text();
}

bool has_line(const std::string& page, const std::string& line) { return ("\n" + page).find("\n" + line + "\n") != std::string::npos; }

}  // namespace

TEST_CASE("buckets of a histogram hold all values up to their bound") {
    static constexpr double bounds[] = {1, 2};
    Histogram histogram(bounds);
    histogram.add(1);
    histogram.add(1.5, 2);
    histogram.add(3);
    MetricsText out;
    out.begin("x_seconds", "histogram", "X.");
    out.sample(histogram, {{"model", "m"}});
    CHECK(out.text() ==
          "# HELP x_seconds X.\n# TYPE x_seconds histogram\nx_seconds_bucket{model=\"m\",le=\"1\"} "
          "1\nx_seconds_bucket{model=\"m\",le=\"2\"} 3\n"
          "x_seconds_bucket{model=\"m\",le=\"+Inf\"} 4\nx_seconds_sum{model=\"m\"} 7\nx_seconds_count{model=\"m\"} 4\n");
}

TEST_CASE("label values are escaped") {
    MetricsText out;
    out.begin("x", "gauge", "X.");
    out.sample(0.5, {{"model", "a\"b\\c\nd\xff"}});
    CHECK(out.text() == "# HELP x X.\n# TYPE x gauge\nx{model=\"a\\\"b\\\\c\\nd\xEF\xBF\xBD\"} 0.5\n");
}

TEST_CASE("a request that was never answered has the status 499") {
    ServerMetrics metrics;
    AccessRecord record;
    metrics.add_request(record, "/x");
    record.status = 200;
    record.is_complete = true;
    metrics.add_request(record, "/x");
    const std::string page = page_of(metrics);
    CHECK(has_line(page, "quern_requests_total{route=\"/x\",status=\"499\"} 1"));
    CHECK(has_line(page, "quern_requests_total{route=\"/x\",status=\"200\"} 1"));
    CHECK(has_line(page, "quern_requests_aborted_total 1"));
    CHECK(page.find("status=\"0\"") == std::string::npos);
}

TEST_CASE("tokens of aborted answers count, and those of each model apart") {
    ServerMetrics metrics;
    metrics.model("a").add_generation({.n_prompt_tokens = 7, .n_generated_tokens = 3, .n_drafted_tokens = 2, .n_accepted_tokens = 1},
                                      Outcome::finished);
    metrics.model("a").add_generation({.n_prompt_tokens = 5, .n_generated_tokens = 2}, Outcome::aborted);
    metrics.model("a").add_generation({.n_prompt_tokens = 100}, Outcome::aborted);  // before its prompt was computed
    metrics.model("b").add_generation({.n_prompt_tokens = 1, .n_generated_tokens = 1}, Outcome::failed);
    const std::string page = page_of(metrics);
    CHECK(has_line(page, "quern_prompt_tokens_total{model=\"a\"} 12"));
    CHECK(has_line(page, "quern_generated_tokens_total{model=\"a\"} 5"));
    CHECK(has_line(page, "quern_drafted_tokens_total{model=\"a\"} 2"));
    CHECK(has_line(page, "quern_accepted_tokens_total{model=\"a\"} 1"));
    CHECK(has_line(page, "quern_generations_total{model=\"a\",outcome=\"aborted\"} 2"));
    CHECK(has_line(page, "quern_generations_total{model=\"b\",outcome=\"failed\"} 1"));
    MetricsText llama;
    metrics.write_llama_names(llama);
    CHECK(has_line(llama.text(), "llamacpp:tokens_predicted_total 6"));
}

}  // namespace quern
