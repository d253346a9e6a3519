#include "tools/run/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace quern {
namespace {

// A signal handler can reach nothing but globals.
volatile std::sig_atomic_t interrupted = 0;
volatile std::sig_atomic_t wakeup_sink = -1;

extern "C" void note_interrupt(int) {
    if (interrupted != 0) {
        constexpr char reset_colours[] = "\033[0m\n";
        const ssize_t written = isatty(STDOUT_FILENO) != 0 ? write(STDOUT_FILENO, reset_colours, sizeof reset_colours - 1) : 0;
        _exit(written < 0 ? 1 : 128 + SIGINT);
    }
    interrupted = 1;
    const int error_before = errno;
    [[maybe_unused]] const ssize_t written = write(wakeup_sink, "", 1);
    errno = error_before;
}

}  // namespace

InterruptGuard::InterruptGuard() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw DeviceError(concat("cannot make a pipe: ", std::strerror(errno)));
    wakeup_ = ends[0];
    wakeup_sink = ends[1];
    interrupted = 0;
    struct sigaction action = {};
    action.sa_handler = note_interrupt;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &before_);
}

InterruptGuard::~InterruptGuard() {
    sigaction(SIGINT, &before_, nullptr);
    close(wakeup_sink);
    close(wakeup_);
}

bool InterruptGuard::requested() const noexcept { return interrupted != 0; }

void InterruptGuard::clear() noexcept {
    char bytes[16];
    while (read(wakeup_, bytes, sizeof bytes) > 0) continue;
    interrupted = 0;
}

bool InterruptGuard::wait_readable(int descriptor) const noexcept {
    while (true) {
        pollfd waiting[] = {{wakeup_, POLLIN, 0}, {descriptor, POLLIN, 0}};
        const int n_ready = poll(waiting, 2, -1);
        if (requested()) return false;
        if (n_ready < 0 && errno == EINTR) continue;
        if (n_ready < 0 || waiting[1].revents != 0) return true;
    }
}

}  // namespace quern
