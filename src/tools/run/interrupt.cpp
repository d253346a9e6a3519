#include "tools/run/interrupt.h"

#include <unistd.h>

namespace quern {
namespace {

// A signal handler can reach nothing but a global.
volatile std::sig_atomic_t interrupted = 0;

extern "C" void note_interrupt(int) {
    if (interrupted != 0) {
        constexpr char reset_colours[] = "\033[0m\n";
        const ssize_t written = isatty(STDOUT_FILENO) != 0 ? write(STDOUT_FILENO, reset_colours, sizeof reset_colours - 1) : 0;
        _exit(written < 0 ? 1 : 128 + SIGINT);
    }
    interrupted = 1;
}

}  // namespace

InterruptGuard::InterruptGuard() {
    interrupted = 0;
    struct sigaction action = {};
    action.sa_handler = note_interrupt;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &before_);  // without SA_RESTART: a read at the prompt returns
}

InterruptGuard::~InterruptGuard() { sigaction(SIGINT, &before_, nullptr); }

bool InterruptGuard::requested() const noexcept { return interrupted != 0; }

void InterruptGuard::clear() noexcept { interrupted = 0; }

}  // namespace quern
