// From the records of requests to figures, as a table, as JSON and as a plot.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tools/bench/request_record.h"

namespace quern {

/// Values in order, and what they come to. The percentile q is the least value that a share of q of all values does not exceed.
class Distribution {
  public:
    explicit Distribution(std::vector<double> values);
    bool empty() const { return sorted_.empty(); }
    size_t size() const { return sorted_.size(); }
    double mean() const;
    /// REQUIRES: !empty(), 0 < share <= 1
    double percentile(double share) const;
    const std::vector<double>& sorted() const { return sorted_; }

  private:
    std::vector<double> sorted_;
};

/// What was asked for, for people to read the figures by.
struct LoadConditions {
    std::string server, model;
    bool is_chat = false;
    int n_concurrent = 1;
    int64_t n_requests = 1, n_output = 0;
    int64_t n_prompt = 0, n_shared = 0;  ///< wished; 0: texts were given
    double temperature = 0;
    uint64_t seed = 1;
    int n_warm_up = 1;
};

/// Tokens a second of each stretch of time, from the beginning.
struct Throughput {
    double seconds_each = 1;
    std::vector<double> tokens_per_second;
};

struct LoadReport {
    LoadConditions conditions;
    double seconds = 0;  ///< from the first request to the end of the last
    int64_t n_succeeded = 0, n_failed = 0;
    std::map<std::string, std::pair<int64_t, std::string>> failures;  ///< kind: how many, and the first one's message
    bool counts_are_the_servers = false;                              ///< output tokens; else pieces were counted
    bool prompts_are_counted = false;                                 ///< else n_input_tokens is what was wished for
    int64_t n_input_tokens = 0, n_cached_tokens = 0, n_output_tokens = 0, n_pieces = 0, n_characters = 0;
    double input_seconds = 0, output_seconds = 0;  ///< means: until the first token, and from it to the end
    Distribution first_token_s{{}}, between_tokens_s{{}}, whole_s{{}}, stream_tokens_per_second{{}};
    Throughput throughput;

    double per_second(int64_t n) const { return seconds > 0 ? static_cast<double>(n) / seconds : 0; }
};

/// @param records  at least one
LoadReport make_report(LoadConditions conditions, const std::vector<RequestRecord>& records);

std::string report_table(const LoadReport& report);
/// @param records  listed one by one in it
nlohmann::ordered_json report_json(const LoadReport& report, const std::vector<RequestRecord>& records);
/// An SVG picture: times to the first token, between tokens, and tokens a second over time.
std::string report_plot(const LoadReport& report);

}  // namespace quern
