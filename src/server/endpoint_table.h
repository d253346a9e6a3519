// All endpoints: where they are, what they are for, which fields they know, what they answer. Routes and documentation come from it.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "server/api_context.h"
#include "server/api_errors.h"
#include "server/fields.h"

namespace quern {

inline constexpr std::string_view event_stream = "text/event-stream", json_lines = "application/x-ndjson";

struct Endpoint {
    const char* path;  ///< "{id}" at its end takes the whole rest
    const char* tag;
    const char* summary;
    std::function<Answer(ApiContext&, const HttpRequest&, const Waker&)> answer;
    std::vector<std::span<const FieldRule>> fields = {};  ///< of the JSON body
    std::vector<const char*> required = {};
    const char* schema = nullptr;       ///< of the answer, as answer_schemas() calls it; nullptr: text of the type `content_type`
    std::string_view stream_type = {};  ///< the content type of an answer in pieces, where there is one
    const char* method = "POST";
    std::vector<FieldRule> query = {};  ///< parameters behind the `?`
    const char* content_type = "application/json";
    bool takes_list = false;   ///< the body is a list of objects with these fields
    bool reads_files = false;  ///< takes its time, although it has no body
    bool is_hidden = false;    ///< not documented: another path for the same, or one that only refuses
    ErrorShape errors = ErrorShape::openai;
};

const std::vector<Endpoint>& endpoints();

}  // namespace quern
