// Where a server is, as users write it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quern {

struct ServerUrl {
    std::string text;  ///< as given
    bool is_tls = false;
    std::string host;  ///< a name or an address, IPv6 without brackets
    uint16_t port = 0;
    std::string unix_socket;  ///< a file in place of host and port, or ""
    std::string base_path;    ///< what stands before /v1/..., or ""
};

/// "http://host:port", "https://host/prefix/v1", "host:port", "unix:/path/of.sock": an end in /v1 is taken off, for it is where all APIs
/// begin.
/// @throws InvalidInput  when it is none of these
ServerUrl parse_server_url(std::string_view text);

}  // namespace quern
