// The settings of the server as a whole.
#include "tools/serve/setting_row.h"

namespace quern {

using Kind = Setting::Kind;

namespace {

std::vector<Setting> log_settings() {
    using S = ServeSettings;
    std::vector<Setting> rows{
        in_server<&S::log_file>(
            {"log_file", "--log-file", "write the log to the end of a file instead of standard error", "FILE", Kind::text}),
        in_server<&S::verbose>({"verbose", "-v,--verbose,--log-verbose", "say more in the log", "", Kind::boolean}),
        in_server<&S::verbosity>(
            {"verbosity", "--verbosity,--log-verbosity", "-lv: 0 to 4; from 3 on: say more", "N", Kind::integer, 0, 100}),
        in_server<&S::log_disable>({"log_disable", "--log-disable", "say nothing in the log but errors", "", Kind::boolean}),
    };
    for (Setting& row : rows) {
        row.group = "Log";
        row.has_log_flag = true;
    }
    return rows;
}

}  // namespace

std::vector<Setting> server_settings() {
    using S = ServeSettings;
    constexpr double any = 4294967296.0;
    std::vector<Setting> rows{
        in_server<&S::host>({"host", "--host", "address to listen on, or a Unix socket: unix:/path", "HOST", Kind::text}),
        in_server<&S::port>({"port", "--port", "port to listen on; 0: any free one", "N", Kind::integer, 0, 65535}),
        reloaded<&S::api_keys>({"api_key", "--api-key", "key that clients must send; may be given several times", "KEY", Kind::texts, 0, 0,
                                [](ServeSettings& server, const Json& value) { server.api_keys = value; }}),
        reloaded<&S::api_key_file>(in_server<&S::api_key_file>(
            {"api_key_file", "--api-key-file", "file with one key a line; # begins a comment", "FILE", Kind::text})),
        reloaded<&S::allow_open>(in_server<&S::allow_open>(
            {"allow_open", "--allow-open", "listen on an address that others can reach although there is no API key", "", Kind::boolean})),
        in_server<&S::certificate_file>(
            {"ssl_certfile", "--ssl-certfile,--ssl-cert-file", "PEM file with the certificate chain: serve HTTPS", "FILE", Kind::text}),
        in_server<&S::key_file>(
            {"ssl_keyfile", "--ssl-keyfile,--ssl-key-file", "PEM file with the certificate's private key", "FILE", Kind::text}),
        reloaded<&S::cors_origins>(in_server<&S::cors_origins>(
            {"cors_origins", "--cors-origins",
             "sites whose pages may use the server: https://app.example, or * for all; may be given several times", "ORIGIN",
             Kind::texts})),
        in_server<&S::root_path>(
            {"root_path", "--root-path,--api-prefix", "prefix under which a proxy offers the server: /llm", "PATH", Kind::text}),
        in_server<&S::access_log>({"access_log", "--access-log",
                                   "file for one line of JSON a request, - for standard output; never holds prompts", "FILE", Kind::text}),
        in_server<&S::memory_budget_mib>({"memory_budget", "--memory-budget",
                                          "MiB that all models may take together; 0: nine tenths of what is free", "MIB", Kind::integer, 0,
                                          any}),
        in_server<&S::timeout_s>(
            {"timeout", "--timeout", "-to: seconds that an answer may take; 0: as long as it needs", "S", Kind::integer, 0, 1 << 24}),
        in_server<&S::stop_timeout_s>(
            {"stop_timeout", "--stop-timeout", "seconds that running answers get after SIGTERM", "S", Kind::integer, 0, 1 << 24}),
        in_server<&S::max_body_mib>({"max_body", "--max-body", "MiB of the longest request", "MIB", Kind::integer, 1, 4096}),
        in_server<&S::n_connections>(
            {"max_connections", "--max-connections", "most clients connected at once", "N", Kind::integer, 1, 65536}),
    };
    for (Setting& row : rows) row.group = "Server";
    for (Setting& row : log_settings()) rows.push_back(std::move(row));
    return rows;
}

}  // namespace quern
