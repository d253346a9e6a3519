// What the user types: a line at a time, edited on a terminal and plain from a pipe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace quern {

class InterruptGuard;

/// What came of asking for a line.
struct LineRead {
    enum class Kind {
        text,
        interrupted,  ///< Ctrl-C with something on the line: it is dropped
        end,          ///< Ctrl-D, end of the input, or Ctrl-C on an empty line
    };
    Kind kind = Kind::end;
    std::string text;  ///< without its newline
};

class LineReader {
  public:
    /// A line editor (libedit) when standard input is a terminal and `plain` is false, else a reader of lines. `interrupts` must outlive
    /// it.
    static std::unique_ptr<LineReader> open(bool plain, InterruptGuard& interrupts);
    virtual ~LineReader() = default;

    /// One line. The prompt is shown on terminals only.
    virtual LineRead read(std::string_view prompt) = 0;
};

/// A message of one or more lines: a line that ends in a backslash goes on in the next.
LineRead read_message(LineReader& reader, std::string_view prompt);

}  // namespace quern
