// What a streamed token costs a program that does nothing else: one thread reads memory as a decode step does and writes to an
// eventfd; another sleeps in epoll_wait, wakes, and sends 200 bytes over a loopback socket to a process that reads them. Prints the
// second thread's CPU time for each message, in microseconds: about what `quern serve` cannot help paying for a token of a lone stream.
//
//     bench_socket [MiB read between messages, 0 for none] [milliseconds from message to message] [messages]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <numeric>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double thread_cpu_us() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

/// A connected socket whose other end a child process reads until it is closed; -1 when the system has none.
int socket_with_reader() {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener, any, size) != 0 || listen(listener, 1) != 0 || getsockname(listener, any, &size) != 0) return -1;
    const pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        const int reader = socket(AF_INET, SOCK_STREAM, 0);
        char bytes[4096];
        if (connect(reader, any, size) == 0)
            while (recv(reader, bytes, sizeof bytes, 0) > 0) {}
        _exit(0);
    }
    const int connection = accept(listener, nullptr, nullptr);
    const int on = 1;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    close(listener);
    return connection;
}

}  // namespace

int main(int n_arguments, char** arguments) {
    const auto argument = [&](int at, int otherwise) { return n_arguments > at ? std::atoi(arguments[at]) : otherwise; };
    const int mebibytes = argument(1, 90), milliseconds = argument(2, 8), n_messages = argument(3, 1000);
    if (mebibytes < 0 || milliseconds < 0 || n_messages < 1) {
        std::cerr << "usage: bench_socket [MiB >= 0] [milliseconds >= 0] [messages >= 1]\n";
        return 1;
    }
    const size_t n_words = static_cast<size_t>(mebibytes) * (1 << 17);
    const auto period = std::chrono::milliseconds(milliseconds);
    const int connection = socket_with_reader();
    const int event = eventfd(0, EFD_NONBLOCK), poll = epoll_create1(0);
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    if (connection < 0 || event < 0 || poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, event, &wanted) != 0) {
        std::cerr << "no loopback socket\n";
        return 1;
    }

    std::atomic<bool> stopping = false;
    double cpu_us = 0;
    int n_sent = 0;
    std::thread sender([&] {
        const std::vector<char> message(200, 'x');
        const double begin = thread_cpu_us();
        while (!stopping) {
            epoll_event happened{};
            uint64_t count = 0;
            if (epoll_wait(poll, &happened, 1, -1) == 1 && read(event, &count, sizeof count) > 0 &&
                send(connection, message.data(), message.size(), MSG_NOSIGNAL) > 0)
                ++n_sent;
        }
        cpu_us = thread_cpu_us() - begin;
    });

    const std::vector<uint64_t> memory(n_words, 1);
    uint64_t sum = 0;
    for (int i = 0; i < n_messages; ++i) {
        const auto due = Clock::now() + period;
        do {
            sum += std::accumulate(memory.begin(), memory.end(), uint64_t{0});
        } while (Clock::now() < due);
        stopping = i + 1 == n_messages;
        const uint64_t one = 1;
        if (write(event, &one, sizeof one) < 0) return 1;
    }
    sender.join();
    close(connection);
    wait(nullptr);
    std::cout << cpu_us / n_sent << '\n';
    return sum == 1 ? 1 : 0;  // never: keeps the reads
}
