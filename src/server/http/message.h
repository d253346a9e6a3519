// Requests and responses as plain data: what the endpoints see of HTTP.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quern {

struct Endpoint;  // what a path leads to is the service's matter

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
    std::string method;  ///< "GET", as sent
    std::string path;    ///< percent-decoded, without the query
    std::string query;   ///< what stands behind `?`, as sent
    HttpHeaders headers;
    std::string body;
    std::string id;  ///< for the header x-request-id and the log
    /// What the service found for the path, and what stands in place of its `{...}`. nullptr: nothing.
    const Endpoint* endpoint = nullptr;
    std::string parameter = {};

    /// The first header of that name in any case, or nothing.
    std::optional<std::string_view> header(std::string_view name) const;
};

struct HttpResponse {
    int status = 200;
    std::string content_type = "application/json";
    HttpHeaders headers = {};  ///< beside content-type, content-length, date, connection and x-request-id
    std::string body = {};
};

/// True when two header names or values are equal but for the case of ASCII letters.
bool equals_ignoring_case(std::string_view a, std::string_view b);

/// The path of a request target: origin form or absolute form, percent-decoded; nothing when it is malformed.
std::optional<std::string> decode_path(std::string_view target);

/// The value of a name in a query, percent-decoded, or nothing.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

/// What a response says of its body's length.
enum class BodyFraming { length, chunks, until_close };

/// Status line and headers, up to and with the empty line.
std::string response_head(const HttpResponse& response, std::string_view request_id, bool keep_alive, BodyFraming framing);

}  // namespace quern
