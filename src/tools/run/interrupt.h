// Ctrl-C that stops an answer and not the program.
#pragma once

#include <csignal>

namespace quern {

/// While one lives, the first SIGINT is only noted, and a second one before clear() ends the program at once.
/// One at a time; SIGINT does what it did before once it is gone.
class InterruptGuard {
  public:
    InterruptGuard();
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

    bool requested() const noexcept;
    void clear() noexcept;

  private:
    struct sigaction before_;
};

}  // namespace quern
