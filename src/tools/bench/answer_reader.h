// Reads answers of the OpenAI API: streams of completions into a record, and whole JSON answers.
#pragma once

#include <chrono>
#include <optional>

#include <nlohmann/json.hpp>

#include "tools/bench/event_reader.h"
#include "tools/bench/http_call.h"
#include "tools/bench/request_record.h"

namespace quern {

/// An answer with another status than 200, read as far as it makes a message.
class Refusal {
  public:
    void set_status(int status) { status_ = status; }
    bool is_one() const { return status_ != 200; }
    /// False: that is enough of it.
    bool add(std::string_view bytes);
    [[noreturn]] void raise() const;

  private:
    int status_ = 200;
    std::string body_;
};

/// A streamed completion or chat completion. @throws CallFailure from its methods when the server does not answer as it should
class StreamReader final : public AnswerSink {
  public:
    using Clock = std::chrono::steady_clock;

    /// `record` must outlive this.
    StreamReader(RequestRecord& record, Clock::time_point zero);

    void on_send() override { record_.sent = now(); }
    void on_head(int status, std::string_view content_type) override;
    bool on_bytes(std::string_view bytes) override;
    void on_end() override;

  private:
    double now() const { return std::chrono::duration<double>(Clock::now() - zero_).count(); }
    void take_data(std::string_view data);

    RequestRecord& record_;
    const Clock::time_point zero_;
    EventReader events_;
    Refusal refusal_;
    bool is_done_ = false, has_finish_ = false;
};

/// A whole answer of JSON. @throws CallFailure from its methods
class JsonReader final : public AnswerSink {
  public:
    void on_head(int status, std::string_view) override { refusal_.set_status(status); }
    bool on_bytes(std::string_view bytes) override;
    void on_end() override;

    const nlohmann::json& json() const { return json_; }

  private:
    std::string body_;
    nlohmann::json json_;
    Refusal refusal_;
};

/// The number of that name in an object, where it is one.
std::optional<int64_t> integer_of(const nlohmann::json& object, const char* name);

}  // namespace quern
