#include "server/access.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "server/http/errors.h"

namespace quern {
namespace {

/// "name:80" -> "name", "[::1]:80" -> "::1".
std::string_view without_port(std::string_view host) {
    if (host.starts_with('[')) {
        const size_t end = host.find(']');
        return end == std::string_view::npos ? host : host.substr(1, end - 1);
    }
    return host.substr(0, host.find(':'));
}

bool is_ipv4(std::string_view host) {
    return std::count(host.begin(), host.end(), '.') == 3 &&
           std::all_of(host.begin(), host.end(), [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

bool is_loopback_name(std::string_view host) {
    constexpr std::string_view suffix = ".localhost";
    const bool ends_local = host.size() > suffix.size() && equals_ignoring_case(host.substr(host.size() - suffix.size()), suffix);
    return equals_ignoring_case(host, "localhost") || ends_local || host == "::1" || (is_ipv4(host) && host.starts_with("127."));
}

[[noreturn]] void forbid(const std::string& message) { throw ApiError(message, {.status = 403, .code = "forbidden"}); }

}  // namespace

bool is_public_path(std::string_view path) {
    for (const char* open : {"/health", "/v1/health", "/healthz", "/ready", "/docs", "/redoc", "/openapi.json"})
        if (path == open) return true;
    return false;
}

AccessRules::AccessRules(const std::vector<std::string>& api_keys, std::string host, bool is_local)
    : host_(std::move(host)), is_local_(is_local) {
    for (const std::string& key : api_keys) keys_.push_back(digest(key));
}

// Digests have one length, so that comparing them tells nothing about the keys, not even their lengths.
AccessRules::Digest AccessRules::digest(std::string_view key) {
    Digest out{};
    unsigned int n_bytes = 0;
    if (EVP_Digest(key.data(), key.size(), out.data(), &n_bytes, EVP_sha256(), nullptr) != 1 || n_bytes != out.size())
        throw InternalError("SHA-256 failed");
    return out;
}

void AccessRules::check_key(const HttpRequest& request) const {
    std::string_view given;
    if (const auto header = request.header("authorization");
        header && header->size() > 7 && equals_ignoring_case(header->substr(0, 7), "bearer ")) {
        given = header->substr(7);
        given.remove_prefix(std::min(given.find_first_not_of(' '), given.size()));
    } else {
        given = request.header("x-api-key").value_or("");
    }
    const ApiError::Details details{.status = 401, .code = "invalid_api_key", .headers = {{"WWW-Authenticate", "Bearer"}}};
    if (given.empty()) throw ApiError("this server needs an API key, as the header Authorization: Bearer KEY", details);
    const Digest digest_given = digest(given);
    bool is_known = false;
    for (const Digest& key : keys_) is_known |= CRYPTO_memcmp(key.data(), digest_given.data(), key.size()) == 0;
    if (!is_known) throw ApiError("the API key is not valid here", details);
}

bool AccessRules::is_own_host(std::string_view host) const {
    const std::string_view name = without_port(host);
    return is_loopback_name(name) || equals_ignoring_case(name, host_);
}

void AccessRules::check(const HttpRequest& request, bool from_allowed_page) const {
    if (!keys_.empty()) {
        if (!is_public_path(request.path)) check_key(request);
        return;
    }
    if (!is_local_) return;
    if (const auto host = request.header("host"); host && !is_own_host(*host))
        forbid("the Host header names another server; use localhost, 127.0.0.1, or the --host of this server, or give it an --api-key");
    const auto origin = request.header("origin");
    if (!origin || from_allowed_page) return;
    const bool is_web = origin->starts_with("http://") || origin->starts_with("https://");
    const bool is_own = is_web && is_own_host(origin->substr(origin->find("://") + 3));
    if (*origin == "null" || (is_web && !is_own)) forbid("web pages of other sites may not use this server");
}

}  // namespace quern
