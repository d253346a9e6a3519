// Where the model's text goes: a terminal, kept safe from control sequences, or a pipe, byte for byte.
#pragma once

#include <string>
#include <string_view>

namespace quern {

/// Takes out of valid UTF-8 text what could drive a terminal: C0 controls but for newline and tab, DEL, and C1 controls.
std::string strip_controls(std::string_view text);

enum class TextStyle { plain, prompt, user };

/// Standard output.
class TerminalOutput {
  public:
    /// Colours only where asked for and where standard output is a terminal.
    explicit TerminalOutput(bool colours);

    bool is_terminal() const noexcept { return is_terminal_; }
    /// Writes at once. @throws DeviceError when nobody reads any more or the disk is full
    void write(std::string_view text);
    /// Ends the line unless it has just been ended.
    void finish_line();
    void set_style(TextStyle style);

  private:
    void write_bytes(std::string_view bytes);

    bool is_terminal_, colours_;
    bool at_line_start_ = true;
};

}  // namespace quern
