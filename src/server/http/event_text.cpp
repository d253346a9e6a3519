#include "server/http/event_text.h"

#include "base/error.h"

namespace quern {

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }
HttpResponse json_response(const Json& json) { return {.body = dump(json)}; }
std::string event(const Json& json) { return concat("data: ", dump(json), "\n\n"); }
std::string named_event(std::string_view name, const Json& json) { return concat("event: ", name, "\ndata: ", dump(json), "\n\n"); }
std::string json_line(const Json& json) { return dump(json) + "\n"; }

}  // namespace quern
