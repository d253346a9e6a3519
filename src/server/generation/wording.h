// How the answer to a request is worded. Each API has its own words; generating, collecting and streaming are the same for all.
#pragma once

#include "server/generation/choice_set.h"
#include "server/http/errors.h"

namespace quern {

/// The words of one answer. Used by one thread at a time.
class Wording {
  public:
    virtual ~Wording() = default;

    /// The whole answer. @param whole  everything of each choice, in order
    virtual Json response(const ChoiceSet& choices, std::vector<ChoiceUpdate>& whole) = 0;

    /// What a stream begins with.
    virtual std::string begin(const ChoiceSet&) { return {}; }
    /// What is new of one choice, its end included.
    virtual std::string piece(const ChoiceSet& choices, const ChoiceUpdate& update) = 0;
    /// What comes after the last choice has ended.
    virtual std::string end(const ChoiceSet&) { return {}; }

    virtual ErrorShape error_shape() const { return ErrorShape::openai; }
    virtual std::string error_text(std::exception_ptr error, std::string_view request_id) {
        return error_event(std::move(error), request_id, error_shape());
    }
    virtual const char* stream_type() const { return "text/event-stream"; }
    virtual std::string keep_alive() const { return ": still working\n\n"; }
};

/// Generates what is ordered, and answers in these words. @throws what ChoiceSet throws
Answer answer_generation(ChoiceOrder order, std::unique_ptr<Wording> wording, bool is_stream, const Waker& wake);

/// JSON as the server writes it: text that is no UTF-8 is repaired.
std::string dump(const Json& json);
HttpResponse json_response(const Json& json);

/// One event: `data: {...}`, and `event: NAME` before it where there is one.
std::string event(const Json& json);
std::string named_event(std::string_view name, const Json& json);
/// One line of newline-delimited JSON.
std::string json_line(const Json& json);

/// Seconds since 1970.
int64_t seconds_now();

}  // namespace quern
