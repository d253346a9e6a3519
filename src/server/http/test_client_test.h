// A client that sends bytes as they are and reads what comes back, for the tests of the server.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "server/http/server.h"

namespace quern {

class TestClient {
  public:
    explicit TestClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("cannot connect");
    }
    TestClient(TestClient&& other) noexcept : socket_(std::exchange(other.socket_, -1)), seen_(std::move(other.seen_)) {}
    ~TestClient() { close(); }

    void close() {
        if (socket_ >= 0) ::close(socket_);
        socket_ = -1;
    }

    /// False when the server does not take it any more.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<size_t>(n));
        }
        return true;
    }

    void get(const std::string& path, const std::string& headers = "") {
        send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
    }
    void post(const std::string& path, const std::string& body, const std::string& headers = "") {
        send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" +
             body);
    }

    /// Everything up to and with `text`; throws when it does not come.
    std::string read_to(std::string_view text, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
        const auto end = std::chrono::steady_clock::now() + limit;
        for (;;) {
            if (const size_t at = seen_.find(text); at != std::string::npos) {
                std::string out = seen_.substr(0, at + text.size());
                seen_.erase(0, out.size());
                return out;
            }
            if (!receive(end)) throw std::runtime_error("the server did not send " + std::string(text) + " but " + seen_);
        }
    }

    /// Everything until the server closes; throws when it does not.
    std::string read_all(std::chrono::milliseconds limit = std::chrono::seconds(10)) {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (receive(end)) continue;
        if (std::chrono::steady_clock::now() >= end) throw std::runtime_error("the server did not close after " + seen_);
        return std::exchange(seen_, {});
    }

    /// Head and body of one response with a Content-Length.
    std::string read_response() {
        std::string head = read_to("\r\n\r\n");
        const size_t at = head.find("Content-Length: ");
        const size_t n_bytes = at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (seen_.size() < n_bytes)
            if (!receive(end)) throw std::runtime_error("the body is too short");
        head += seen_.substr(0, n_bytes);
        seen_.erase(0, n_bytes);
        return head;
    }

  private:
    bool receive(std::chrono::steady_clock::time_point end) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        pollfd wanted{socket_, POLLIN, 0};
        if (left.count() <= 0 || poll(&wanted, 1, static_cast<int>(left.count())) <= 0) return false;
        char piece[65536];
        const ssize_t n = recv(socket_, piece, sizeof piece, 0);
        if (n <= 0) return false;
        seen_.append(piece, static_cast<size_t>(n));
        return true;
    }

    int socket_;
    std::string seen_;
};

/// A server on a free port, until the end of the scope.
class RunningServer {
  public:
    explicit RunningServer(HttpService& service, const HttpLimits& limits = {})
        : server_({.host = "127.0.0.1", .port = 0}, service, limits), thread_([this] { server_.run(); }) {}
    ~RunningServer() {
        server_.stop_now();
        if (thread_.joinable()) thread_.join();
    }
    TestClient connect() const { return TestClient(server_.port()); }
    HttpServer& server() { return server_; }
    void wait_for_end() { thread_.join(); }

  private:
    HttpServer server_;
    std::thread thread_;
};

/// Waits up to ten seconds.
template <typename Condition>
bool comes_true(const Condition& condition) {
    for (int i = 0; i < 2000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
}

}  // namespace quern
