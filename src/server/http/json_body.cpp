// A scan over brackets, commas and strings comes first: it bounds depth, memory and the quadratic key look-up of ordered objects,
// so that the parser only sees what it can afford.
#include "server/http/json_body.h"

#include <vector>

#include "server/http/errors.h"

namespace quern {
namespace {

constexpr size_t max_depth = 64;
constexpr size_t max_values = 4'000'000;        // a value takes up to about 100 bytes
constexpr uint64_t max_key_work = 200'000'000;  // comparisons of keys: an ordered object of n keys takes n * n / 2

[[noreturn]] void refuse(const std::string& message) { throw ApiError(message, {.status = 400, .code = "invalid_json"}); }

size_t skip_string(std::string_view text, size_t at) {
    for (++at; at < text.size() && text[at] != '"'; ++at)
        if (text[at] == '\\') ++at;
    return at;
}

void check_shape(std::string_view text) {
    std::vector<uint64_t> keys_by_level;
    size_t n_values = 0;
    uint64_t key_work = 0;
    for (size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '"') at = skip_string(text, at);
        if (c == '{' || c == '[') {
            if (keys_by_level.size() == max_depth) refuse(concat("the JSON body nests deeper than ", max_depth, " levels"));
            keys_by_level.push_back(0);
            ++n_values;
        } else if (c == ',') {
            if (++n_values > max_values) refuse(concat("the JSON body holds more than ", max_values, " values"));
        } else if (c == ':' && !keys_by_level.empty()) {
            key_work += ++keys_by_level.back() / 2;
            if (key_work > max_key_work) refuse("the JSON body has objects with too many keys");
        } else if ((c == '}' || c == ']') && !keys_by_level.empty()) {
            keys_by_level.pop_back();
        }
    }
}

}  // namespace

namespace {

Json parse_bounded(std::string_view body, const char* expected) {
    if (body.find_first_not_of(" \t\r\n") == std::string_view::npos)
        refuse(concat("the request has no body; it must be a JSON ", expected));
    check_shape(body);
    Json json;
    try {
        json = Json::parse(body);
    } catch (const Json::exception& error) {
        std::string message = error.what();
        if (const size_t end = message.find("] "); end != std::string::npos) message.erase(0, end + 2);
        refuse(concat("the body is not valid JSON: ", message));
    }
    return json;
}

}  // namespace

Json parse_json_body(std::string_view body) {
    Json json = parse_bounded(body, "object");
    if (!json.is_object()) refuse("the body must be a JSON object");
    return json;
}

Json parse_json_list(std::string_view body) {
    Json json = parse_bounded(body, "array");
    if (!json.is_array()) refuse("the body must be a JSON array");
    return json;
}

}  // namespace quern
