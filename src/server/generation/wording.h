// How the answer to a request is worded. Each API has its own words; generating, collecting and streaming are the same for all.
#pragma once

#include "server/clock.h"
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

    /// The last words of a stream that has failed; "": as on the endpoint's other errors.
    virtual std::string error_text(std::exception_ptr, std::string_view /*request_id*/) { return {}; }
    virtual const char* stream_type() const { return "text/event-stream"; }
    virtual std::string keep_alive() const { return ": still working\n\n"; }
};

/// Generates what is ordered, and answers in these words. @throws what ChoiceSet throws
Answer answer_generation(ChoiceOrder order, std::unique_ptr<Wording> wording, bool is_stream, const Waker& wake);

}  // namespace quern
