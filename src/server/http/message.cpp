// Request targets and response heads. Source: RFC 9110 (fields, status codes), RFC 9112 (message format).
#include "server/http/message.h"

#include <algorithm>
#include <ctime>

#include "base/error.h"

namespace quern {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char low = lower(c);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

const char* reason_phrase(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 204:
            return "No Content";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 413:
            return "Content Too Large";
        case 415:
            return "Unsupported Media Type";
        case 417:
            return "Expectation Failed";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        default:
            return "Unknown";
    }
}

std::string date_now() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[64];
    const size_t n = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return std::string(text, n);
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::string_view> HttpRequest::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (equals_ignoring_case(key, name)) return value;
    return std::nullopt;
}

std::optional<std::string> decode_path(std::string_view target) {
    if (const size_t scheme = target.find("://"); !target.starts_with('/') && scheme != std::string_view::npos) {
        const size_t slash = target.find('/', scheme + 3);
        target = slash == std::string_view::npos ? "/" : target.substr(slash);
    }
    return percent_decoded(target.substr(0, target.find('?')));
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), pair.size() + 1));
        const size_t equals = std::min(pair.find('='), pair.size());
        if (pair.substr(0, equals) == name) return percent_decoded(pair.substr(std::min(pair.size(), equals + 1)));
    }
    return std::nullopt;
}

std::string response_head(const HttpResponse& response, std::string_view request_id, bool keep_alive, BodyFraming framing) {
    std::string head = concat("HTTP/1.1 ", response.status, ' ', reason_phrase(response.status), "\r\nDate: ", date_now(), "\r\n");
    const auto add = [&](std::string_view name, std::string_view value) { head.append(name).append(": ").append(value).append("\r\n"); };
    const bool has_body = response.status != 204;
    if (has_body) add("Content-Type", response.content_type);
    for (const auto& [name, value] : response.headers) add(name, value);
    if (!request_id.empty()) add("x-request-id", request_id);
    if (framing == BodyFraming::chunks) add("Transfer-Encoding", "chunked");
    if (framing == BodyFraming::length && has_body) add("Content-Length", std::to_string(response.body.size()));
    add("Connection", keep_alive ? "keep-alive" : "close");
    return head + "\r\n";
}

}  // namespace quern
