// What the process is told by signals, as calls on a thread of its own: SIGINT and SIGTERM stop it, SIGHUP has it read its settings anew.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace quern {

/// Keeps these signals from ending the process: they wait for a SignalThread. Before any other thread is started.
void hold_signals();

/// From its construction on, signals are calls, those that came since hold_signals() included.
class SignalThread {
  public:
    struct Calls {
        std::function<void()> stop;      ///< on the first SIGINT or SIGTERM, or when the terminal that it was started from is closed
        std::function<void()> stop_now;  ///< on each further one
        std::function<void()> reload;    ///< on SIGHUP
    };

    explicit SignalThread(Calls calls);
    ~SignalThread();
    SignalThread(const SignalThread&) = delete;
    SignalThread& operator=(const SignalThread&) = delete;

    /// Until then, SIGHUP waits.
    void allow_reload();

  private:
    void run();
    void reload();

    const Calls calls_;
    const bool has_terminal_;
    std::atomic<bool> is_done_{false}, may_reload_{false}, is_reload_wanted_{false};
    std::thread thread_;  // last
};

}  // namespace quern
