#include "tools/progress_line.h"

#include <unistd.h>

#include <cstdio>

#include "tools/quantities.h"

namespace quern {

ProgressLine::ProgressLine() : is_terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
    if (shown_) std::fprintf(stderr, "\r\033[K");
}

void ProgressLine::show(double share, std::string_view text) {
    if (!is_terminal_) return;
    shown_ = true;
    const std::string left = share > 0 ? human_duration(seconds() * (1 - share) / share) + " left  " : "";
    std::fprintf(stderr, "\r\033[K%3.0f%%  %s%.*s", 100 * share, left.c_str(), static_cast<int>(text.size()), text.data());
}

double ProgressLine::seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

}  // namespace quern
