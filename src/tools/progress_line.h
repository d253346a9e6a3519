// One line on standard error that is written over as work goes on; nothing where that is no terminal.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace quern {

/// Takes its line away when it ends.
class ProgressLine {
  public:
    ProgressLine();
    ~ProgressLine();
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    /// " 37%  1:05 left  text". @param share  of the work that is done, 0 to 1
    void show(double share, std::string_view text);
    /// Since the line was made.
    double seconds() const;

  private:
    bool is_terminal_, shown_ = false;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace quern
