// Bounds on what one client can make the server hold or wait for.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace quern {

struct HttpLimits {
    uint32_t header_bytes = 64 << 10;
    uint64_t body_bytes = uint64_t{64} << 20;
    uint64_t bodies_bytes = uint64_t{1} << 30;  ///< of all requests being read or answered together
    uint64_t drain_bytes = uint64_t{1} << 30;   ///< read and thrown away after a refusal, so that the client sees the answer
    size_t n_connections = 8192;
    std::chrono::milliseconds header_time{30'000};  ///< from the first byte of a request to the end of its headers
    std::chrono::milliseconds body_pause{30'000};   ///< between two pieces of a body
    std::chrono::milliseconds body_time{600'000};   ///< for a whole body
    std::chrono::milliseconds idle_time{120'000};   ///< between two requests on a connection, and before the first
    std::chrono::milliseconds write_time{60'000};   ///< for the client to take one piece of an answer
    std::chrono::milliseconds drain_time{30'000};
    std::chrono::milliseconds event_pause{10'000};  ///< a stream silent for so long gets a comment, so that proxies keep it open
    std::chrono::milliseconds stop_time{30'000};    ///< for running answers after the first signal
    std::chrono::milliseconds answer_time{0};       ///< for a whole answer; 0: as long as it takes
    int n_io_threads = 2;
    int n_workers = 4;
    uint64_t large_body_bytes = 64 << 10;  ///< requests with larger bodies have workers of their own, and never hold up the others
    int n_large_workers = 1;
    uint64_t huge_body_bytes = 1 << 20;  ///< after larger ones, freed memory is given back to the system at once
};

}  // namespace quern
