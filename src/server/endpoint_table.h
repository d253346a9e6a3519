// All endpoints: where they are, what they are for, which fields they know, what they answer. Routes and documentation come from it.
#pragma once

#include <functional>
#include <vector>

#include "server/api_context.h"
#include "server/fields.h"
#include "server/http/errors.h"

namespace quern {

inline constexpr const char* api_version = "0.1.0";

struct Endpoint {
    const char* path;  ///< "{id}" at its end takes the whole rest
    const char* tag;
    const char* summary;
    std::function<Answer(ApiContext&, const HttpRequest&, const Waker&)> answer;
    std::vector<std::span<const FieldRule>> fields = {};  ///< of the JSON body
    std::vector<const char*> required = {};
    const char* schema = nullptr;       ///< of the answer, as answer_schemas() calls it; nullptr: text of the type `content_type`
    const char* stream_type = nullptr;  ///< the content type of an answer in pieces, where there is one
    const char* method = "POST";
    std::vector<FieldRule> query = {};  ///< parameters behind the `?`
    const char* content_type = "application/json";
    bool takes_list = false;   ///< the body is a list of objects with these fields
    bool reads_files = false;  ///< takes its time, although it has no body
    bool is_alias = false;     ///< another path for the same, or one that only refuses: not documented
};

const std::vector<Endpoint>& endpoints();

/// How errors are worded under that path.
ErrorShape error_shape_of(std::string_view path);

/// The schemas of answers by name, as JSON Schema.
Json answer_schemas();

/// The OpenAPI 3.1 document. @param root_path  prefix of the server's URL, or ""
Json openapi_document(const std::string& root_path);
/// A page that shows it.
std::string documentation_page();

}  // namespace quern
