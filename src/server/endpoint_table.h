// The endpoints that take a JSON body: where they are, what they are for, which fields they know. Routes and documentation come from it.
#pragma once

#include <vector>

#include "server/api_context.h"
#include "server/fields.h"

namespace quern {

struct Endpoint {
    const char* path;
    const char* tag;
    const char* summary;
    Answer (*answer)(ApiContext&, const HttpRequest&, const Waker&);
    std::vector<std::span<const FieldRule>> fields;
    std::vector<const char*> required;
    bool is_alias = false;  ///< another path for the same: not documented again
};

const std::vector<Endpoint>& endpoints();

/// The OpenAPI 3.1 document. @param root_path  prefix of the server's URL, or ""
Json openapi_document(const std::string& root_path);
/// A page that shows it.
std::string documentation_page();

}  // namespace quern
