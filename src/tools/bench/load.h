// Puts a server under load: so many requests, so many at once, and a record of each.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "tools/bench/http_call.h"
#include "tools/bench/prompt_source.h"
#include "tools/bench/request_record.h"

namespace quern {

/// What each request asks for.
struct RequestShape {
    std::string model;
    bool is_chat = false;
    int64_t n_output = 128;
    double temperature = 0;
    uint64_t seed = 1;
    bool ignore_eos = false;
};

/// One thread; its calls return when all their requests are over.
class LoadGenerator {
  public:
    explicit LoadGenerator(HttpClient::Options options) : client_(io_, std::move(options)) {}

    RequestShape& shape() { return shape_; }
    PromptSource& prompts() { return prompts_; }

    /// The first model that the server lists. @throws CallFailure
    std::string first_model();
    /// Makes the prompts as long as wished, by the server's own count of tokens. Sends two short requests. @throws CallFailure
    void calibrate(int64_t n_prompt, int64_t n_shared);
    /// One request that is not counted. @throws CallFailure
    void warm_up();
    /// @param on_done  called after each request
    std::vector<RequestRecord> run(int64_t n_requests, int n_concurrent, std::function<void(const RequestRecord&)> on_done);

  private:
    std::string path() const { return shape_.is_chat ? "/v1/chat/completions" : "/v1/completions"; }
    std::string body(uint64_t index, bool is_stream, int64_t n_output, bool asks_usage) const;
    int64_t count_prompt();
    nlohmann::json fetch(HttpCall call);
    void finish_all();
    boost::asio::awaitable<void> ask(uint64_t index, RequestRecord& record, bool asks_usage);
    boost::asio::awaitable<void> measure_one(uint64_t index, RequestRecord& record);
    boost::asio::awaitable<void> work(std::vector<RequestRecord>& records, const std::function<void(const RequestRecord&)>& on_done);

    boost::asio::io_context io_;
    HttpClient client_;
    RequestShape shape_;
    PromptSource prompts_ = PromptSource::of_words(1);
    std::chrono::steady_clock::time_point zero_;
    size_t n_begun_ = 0;
    uint64_t n_trials_ = 0;
    std::optional<bool> takes_usage_;  ///< whether the server takes stream_options, which some refuse; nothing: nobody knows yet
};

}  // namespace quern
