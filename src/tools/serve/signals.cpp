#include "tools/serve/signals.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <csignal>

namespace quern {
namespace {

sigset_t our_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int each : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, each);
    return set;
}

bool can_open_terminal() {
    const int descriptor = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (descriptor >= 0) close(descriptor);
    return descriptor >= 0;
}

// nohup has it ignored: then a closed terminal is no reason to end.
bool ignores_hangup() {
    struct sigaction action = {};
    return sigaction(SIGHUP, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

void hold_signals() {
    const sigset_t set = our_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

SignalThread::SignalThread(Calls calls)
    : calls_(std::move(calls)), has_terminal_(!ignores_hangup() && can_open_terminal()), thread_([this] { run(); }) {}

SignalThread::~SignalThread() {
    is_done_ = true;
    pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
}

void SignalThread::allow_reload() {
    may_reload_ = true;
    if (is_reload_wanted_) kill(getpid(), SIGHUP);
}

void SignalThread::reload() {
    is_reload_wanted_ = true;
    if (!may_reload_) return;
    is_reload_wanted_ = false;
    calls_.reload();
}

void SignalThread::run() {
    std::signal(SIGHUP, SIG_DFL);  // an ignored signal would not wait for us either
    const sigset_t set = our_signals();
    for (int n_stops = 0; !is_done_;) {
        int number = 0;
        if (sigwait(&set, &number) != 0 || is_done_) continue;
        if (number == SIGHUP && !(has_terminal_ && !can_open_terminal()))
            reload();
        else if (n_stops++ == 0)
            calls_.stop();
        else
            calls_.stop_now();
    }
}

}  // namespace quern
