// The endpoints as an OpenAPI document, made from their table.
#pragma once

#include <string>

#include "text/chat/chat_template.h"

namespace quern {

/// The schemas of answers by name, as JSON Schema.
Json answer_schemas();

/// The OpenAPI 3.1 document. @param root_path  prefix of the server's URL, or ""
Json openapi_document(const std::string& root_path);
/// A page that shows it.
std::string documentation_page();

}  // namespace quern
