// The HTTP server: listens, keeps its connections, and stops in order.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "server/http/answer.h"
#include "server/http/limits.h"

namespace quern {

struct ListenAddress {
    std::string host = "127.0.0.1";  ///< a name, an IP address, or a Unix socket: "unix:/path", or a path that ends in .sock
    uint16_t port = 8080;            ///< 0: any free one
    std::string certificate_file;    ///< PEM chain; with it and its key, HTTPS
    std::string key_file;
};

/// The file of a host that is a Unix socket, else "".
std::string unix_socket_path(const std::string& host);

/// True when only this machine can reach the address.
bool is_loopback(const std::string& host);

class HttpServer {
  public:
    /// Binds and listens at once; clients are answered from run() on. `service` must outlive this.
    /// @throws InvalidInput  the host has no address, or the certificate is unusable  @throws DeviceError  the port is taken or forbidden
    HttpServer(const ListenAddress& address, HttpService& service, const HttpLimits& limits = {});
    ~HttpServer();

    /// The port that it listens on; 0 for a Unix socket.
    uint16_t port() const;

    /// Serves until it is stopped and every connection has ended.
    void run();

    /// Any thread: lets running answers end and cancels those that last longer than HttpLimits::stop_time; new requests get a 503.
    void stop();
    /// Any thread: cancels everything.
    void stop_now();

    /// Reads the certificate and the key anew. What it returns gives them to new connections, from any thread; without HTTPS it does
    /// nothing. @throws InvalidInput  they are unusable
    std::function<void()> read_certificate();

  private:
    class State;
    std::unique_ptr<State> state_;
};

}  // namespace quern
