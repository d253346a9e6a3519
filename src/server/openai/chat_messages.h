// Messages of a chat request, checked and brought into the form that chat templates take.
#pragma once

#include "text/chat/chat_template.h"

namespace quern {

/// Roles are known ones, developer becomes system; content becomes one string: text parts are joined by line breaks, null by "".
/// @throws ApiError  400 naming the message, as in `messages[2].content`
Json read_messages(const Json& messages, const std::string& param = "messages");

}  // namespace quern
