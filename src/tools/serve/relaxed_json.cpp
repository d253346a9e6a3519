#include "tools/serve/relaxed_json.h"

#include <algorithm>

namespace quern {
namespace {

size_t end_of_string(std::string_view text, size_t at) {
    for (++at; at < text.size() && text[at] != '"'; ++at)
        if (text[at] == '\\') ++at;
    return at;
}

void blank(std::string& text, size_t from, size_t to) {
    for (size_t i = from; i < to && i < text.size(); ++i)
        if (text[i] != '\n') text[i] = ' ';
}

}  // namespace

std::string to_strict_json(std::string_view text) {
    std::string out(text);
    size_t comma = std::string::npos;  // the last one, while only blanks have followed
    for (size_t at = 0; at < out.size(); ++at) {
        const char c = out[at];
        if (c == '/' && out.substr(at, 2) == "//") {
            const size_t end = std::min(out.find('\n', at), out.size());
            blank(out, at, end);
            continue;
        }
        if (c == '/' && out.substr(at, 2) == "/*") {
            const size_t end = out.find("*/", at + 2);
            if (end == std::string::npos) break;  // the parser will complain
            blank(out, at, end + 2);
            continue;
        }
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
        if ((c == ']' || c == '}') && comma != std::string::npos) out[comma] = ' ';
        comma = c == ',' ? at : std::string::npos;
        if (c == '"') at = end_of_string(out, at);
    }
    return out;
}

}  // namespace quern
