// JSON as the server writes it: as a body, as a server-sent event, as a line.
#pragma once

#include <string>
#include <string_view>

#include "server/http/message.h"
#include "text/chat/chat_template.h"

namespace quern {

/// Text that is no UTF-8 is repaired.
std::string dump(const Json& json);
HttpResponse json_response(const Json& json);

/// One event: `data: {...}`, and `event: NAME` before it where there is one.
std::string event(const Json& json);
std::string named_event(std::string_view name, const Json& json);
/// One line of newline-delimited JSON.
std::string json_line(const Json& json);

}  // namespace quern
