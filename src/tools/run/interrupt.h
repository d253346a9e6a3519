// Ctrl-C that stops an answer and not the program.
#pragma once

#include <csignal>

namespace quern {

/// While one lives, the first SIGINT is only noted, and a second one before clear() ends the program at once.
/// One at a time; SIGINT does what it did before once it is gone.
class InterruptGuard {
  public:
    /// @throws DeviceError  when the process may open no more files
    InterruptGuard();
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

    bool requested() const noexcept;
    void clear() noexcept;

    /// Waits until `descriptor` can be read or is at its end; false when a SIGINT came first. Whichever thread gets the signal.
    bool wait_readable(int descriptor) const noexcept;

  private:
    struct sigaction before_;
    int wakeup_ = -1;  // the reading end of a pipe into which the handler writes
};

}  // namespace quern
