#include "tools/bench/server_url.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

constexpr std::string_view http = "http://", https = "https://", unix_prefix = "unix:";

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
    throw InvalidInput(concat("--server ", quoted(text), ": ", why, "; it wants http://HOST:PORT, https://HOST or unix:/PATH"), "server");
}

uint16_t parse_port(std::string_view text, std::string_view digits) {
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0) refuse(text, "the port is no number from 1 to 65535");
    return port;
}

bool is_plain(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c != 0x7f; });
}

std::string without_end(std::string_view path) {
    while (path.ends_with('/')) path.remove_suffix(1);
    if (path.ends_with("/v1")) path.remove_suffix(3);
    while (path.ends_with('/')) path.remove_suffix(1);
    return std::string(path);
}

// "[::1]:80", "host:80", "host".
void read_authority(std::string_view authority, ServerUrl& url) {
    std::string_view port;
    if (authority.starts_with('[')) {
        const size_t end = authority.find(']');
        if (end == std::string_view::npos) refuse(url.text, "a [ is not closed");
        url.host = std::string(authority.substr(1, end - 1));
        port = authority.substr(end + 1);
        if (!port.empty() && !port.starts_with(':')) refuse(url.text, "only a port may follow the ]");
    } else {
        const size_t colon = std::min(authority.find(':'), authority.size());
        url.host = std::string(authority.substr(0, colon));
        port = authority.substr(colon);
    }
    if (url.host.empty()) refuse(url.text, "there is no host");
    if (url.host.find('@') != std::string::npos || port.find('@') != std::string_view::npos)
        refuse(url.text, "names and passwords do not belong there");
    url.port = port.empty() ? (url.is_tls ? 443 : 80) : parse_port(url.text, port.substr(1));
}

}  // namespace

ServerUrl parse_server_url(std::string_view text) {
    ServerUrl url{.text = std::string(text)};
    if (text.empty() || !is_plain(text)) refuse(text, "there are blanks or control characters in it, or nothing at all");
    if (text.starts_with(unix_prefix)) {
        text.remove_prefix(unix_prefix.size());
        if (text.starts_with("//")) text.remove_prefix(2);
        if (text.empty() || text.size() > 100) refuse(url.text, "a socket's path has 1 to 100 characters");
        url.unix_socket = std::string(text);
        url.host = "localhost";
        return url;
    }
    url.is_tls = text.starts_with(https);
    if (url.is_tls)
        text.remove_prefix(https.size());
    else if (text.starts_with(http))
        text.remove_prefix(http.size());
    else if (text.find("://") != std::string_view::npos)
        refuse(url.text, "this scheme is not known");
    if (text.find_first_of("?#") != std::string_view::npos) refuse(url.text, "a ? or # has no meaning here");
    const size_t slash = std::min(text.find('/'), text.size());
    read_authority(text.substr(0, slash), url);
    url.base_path = without_end(text.substr(slash));
    return url;
}

}  // namespace quern
