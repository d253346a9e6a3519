// Line editing on a terminal by libedit: arrow keys, history, characters of several bytes and of double width.
#pragma once

#include <memory>

#include "tools/run/line_reader.h"

namespace quern {

/// REQUIRES: standard input and output are terminals. Sets the process's LC_CTYPE, on which libedit depends.
std::unique_ptr<LineReader> open_line_editor(InterruptGuard& interrupts);

}  // namespace quern
