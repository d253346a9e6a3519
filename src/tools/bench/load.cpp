#include "tools/bench/load.h"

#include <algorithm>
#include <cmath>

#include <boost/asio/co_spawn.hpp>

#include "tools/bench/answer_reader.h"

namespace quern {
namespace {

namespace asio = boost::asio;
using nlohmann::json;

// Prompts that are not measured have indices from here on, so that no measured one is found in the server's cache.
constexpr uint64_t first_trial = uint64_t{1} << 32;
constexpr int64_t longest_probe = 96;  // words: fits in any window, though each were several tokens

}  // namespace

std::string LoadGenerator::body(uint64_t index, bool is_stream, int64_t n_output, bool asks_usage) const {
    json body = {{"model", shape_.model}, {"max_tokens", n_output}, {"temperature", shape_.temperature}, {"stream", is_stream}};
    body["seed"] = shape_.seed + index % first_trial;
    if (shape_.is_chat)
        body["messages"] = {{{"role", "user"}, {"content", prompts_.prompt(index)}}};
    else
        body["prompt"] = prompts_.prompt(index);
    if (shape_.ignore_eos) body["ignore_eos"] = true;
    if (is_stream && asks_usage) body["stream_options"] = {{"include_usage", true}};
    if (prompts_.is_ids() && is_stream) body["logprobs"] = 0;  // a vocabulary without words: so that tokens show without text
    return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Runs what was spawned, and rethrows what it threw.
void LoadGenerator::finish_all() {
    io_.restart();
    io_.run();
}

json LoadGenerator::fetch(HttpCall call) {
    JsonReader reader;
    std::exception_ptr failure;
    asio::co_spawn(io_, client_.call(std::move(call), reader), [&](std::exception_ptr error) { failure = error; });
    finish_all();
    if (failure) std::rethrow_exception(failure);
    return reader.json();
}

std::string LoadGenerator::first_model() {
    const json list = fetch({.method = "GET", .path = "/v1/models", .body = {}});
    const auto data = list.find("data");
    if (data != list.end() && data->is_array())
        for (const json& model : *data)
            if (model.is_object() && model.contains("id") && model["id"].is_string()) return model["id"];
    throw CallFailure("no model", "the server lists no model at /v1/models: name one with --model");
}

int64_t LoadGenerator::count_prompt() {
    const json answer = fetch({.method = "POST", .path = path(), .body = body(first_trial + n_trials_++, false, 1, false)});
    const auto usage = answer.find("usage");
    return usage == answer.end() ? 0 : integer_of(*usage, "prompt_tokens").value_or(0);
}

// The count grows with the number of words: a line through two short prompts.
void LoadGenerator::calibrate(int64_t n_prompt, int64_t n_shared) {
    n_shared = std::min(n_shared, n_prompt);
    prompts_.set_length(n_prompt, n_shared);
    if (prompts_.is_ids()) return;
    const int64_t n_long = std::min(n_prompt, longest_probe), n_short = std::max<int64_t>(1, n_long / 4);
    prompts_.set_length(n_long, 0);
    const auto at_long = static_cast<double>(count_prompt());
    if (at_long <= 0) {
        return prompts_.set_length(n_prompt, n_shared);
    }
    double per_word = at_long / static_cast<double>(n_long), extra = 0;
    if (n_short < n_long) {
        prompts_.set_length(n_short, 0);
        per_word = std::max(0.1, (at_long - static_cast<double>(count_prompt())) / static_cast<double>(n_long - n_short));
        extra = at_long - per_word * static_cast<double>(n_long);
    }
    const auto words_for = [&](int64_t n_tokens, double before) {
        return std::max<int64_t>(1, std::llround((static_cast<double>(n_tokens) - before) / per_word));
    };
    const int64_t n_words = words_for(n_prompt, extra);
    prompts_.set_length(n_words, n_shared == 0 ? 0 : std::min(n_words, words_for(n_shared, std::max(0.0, extra))));
}

asio::awaitable<void> LoadGenerator::ask(uint64_t index, RequestRecord& record, bool asks_usage) {
    try {
        StreamReader reader(record, zero_);
        HttpCall request{.method = "POST", .path = path(), .body = body(index, true, shape_.n_output, asks_usage)};
        co_await client_.call(std::move(request), reader);
    } catch (const CallFailure& failure) {
        record.failure_kind = failure.kind();
        record.failure = failure.what();
    }
    record.ended = std::chrono::duration<double>(std::chrono::steady_clock::now() - zero_).count();
}

// As long as nobody knows whether the server takes stream_options, a request that is refused with them is made again without. What counts
// then is the second one.
asio::awaitable<void> LoadGenerator::measure_one(uint64_t index, RequestRecord& record) {
    const bool asks_usage = takes_usage_.value_or(true);
    co_await ask(index, record, asks_usage);
    if (record.succeeded() && asks_usage) takes_usage_ = true;
    const bool may_be_options = record.failure_kind == "HTTP 400" || record.failure_kind == "HTTP 422";
    if (record.succeeded() || !asks_usage || !may_be_options || takes_usage_ == true) co_return;
    RequestRecord again;
    co_await ask(index, again, false);
    if (!again.succeeded()) co_return;
    takes_usage_ = false;
    record = std::move(again);
}

void LoadGenerator::warm_up() {
    RequestRecord record;
    zero_ = std::chrono::steady_clock::now();
    asio::co_spawn(io_, measure_one(first_trial + n_trials_++, record), [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    });
    finish_all();
    if (!record.succeeded()) throw CallFailure(record.failure_kind, record.failure);
}

asio::awaitable<void> LoadGenerator::work(std::vector<RequestRecord>& records, const std::function<void(const RequestRecord&)>& on_done) {
    while (n_begun_ < records.size()) {
        const size_t index = n_begun_++;
        co_await measure_one(index, records[index]);
        if (on_done) on_done(records[index]);
    }
}

std::vector<RequestRecord> LoadGenerator::run(int64_t n_requests, int n_concurrent, std::function<void(const RequestRecord&)> on_done) {
    std::vector<RequestRecord> records(static_cast<size_t>(n_requests));
    n_begun_ = 0;
    zero_ = std::chrono::steady_clock::now();
    for (int i = 0; i < n_concurrent; ++i)
        asio::co_spawn(io_, work(records, on_done), [](std::exception_ptr error) {
            if (error) std::rethrow_exception(error);
        });
    finish_all();
    return records;
}

}  // namespace quern
