#include "tools/run/terminal_output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace quern {

std::string strip_controls(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
        if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) {  // U+0080 to U+009F
            ++i;
            continue;
        }
        const bool control = byte < 0x20 || byte == 0x7f;
        if (!control || byte == '\n' || byte == '\t') out += text[i];
    }
    return out;
}

TerminalOutput::TerminalOutput(bool colours) : is_terminal_(isatty(STDOUT_FILENO) != 0), colours_(colours && is_terminal_) {}

void TerminalOutput::write(std::string_view text) {
    if (text.empty()) return;
    write_bytes(is_terminal_ ? strip_controls(text) : std::string(text));
    at_line_start_ = text.back() == '\n';
}

void TerminalOutput::finish_line() {
    if (!at_line_start_) write("\n");
}

void TerminalOutput::set_style(TextStyle style) {
    if (!colours_) return;
    switch (style) {
        case TextStyle::plain:
            return write_bytes("\033[0m");
        case TextStyle::prompt:
            return write_bytes("\033[33m");
        case TextStyle::user:
            return write_bytes("\033[1m\033[32m");
    }
}

void TerminalOutput::write_bytes(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw DeviceError(concat("cannot write to standard output: ", std::strerror(errno)));
        bytes.remove_prefix(static_cast<size_t>(n));
    }
}

}  // namespace quern
