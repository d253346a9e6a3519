#include "tools/run/line_reader.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "tools/run/interrupt.h"
#include "tools/run/line_editor.h"

namespace quern {
namespace {

/// Reads standard input without an editor.
class PlainReader : public LineReader {
  public:
    explicit PlainReader(InterruptGuard& interrupts) : interrupts_(interrupts), is_terminal_(isatty(STDIN_FILENO) != 0) {}

    LineRead read(std::string_view prompt) override {
        interrupts_.clear();
        if (is_terminal_) {
            std::fwrite(prompt.data(), 1, prompt.size(), stdout);
            std::fflush(stdout);
        }
        while (true) {
            const size_t newline = buffer_.find('\n');
            if (newline != std::string::npos) {
                LineRead line{LineRead::Kind::text, buffer_.substr(0, newline)};
                buffer_.erase(0, newline + 1);
                if (line.text.ends_with('\r')) line.text.pop_back();
                return line;
            }
            if (!fill()) break;
        }
        if (interrupts_.requested()) return {};
        if (buffer_.empty()) return {};
        return {LineRead::Kind::text, std::exchange(buffer_, {})};  // a last line without a newline
    }

  private:
    /// Reads more; false at the end of the input and on Ctrl-C.
    bool fill() {
        if (!interrupts_.wait_readable(STDIN_FILENO)) return false;
        char bytes[4096];
        const ssize_t n = ::read(STDIN_FILENO, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR) return true;
        if (n <= 0) return false;
        buffer_.append(bytes, static_cast<size_t>(n));
        return true;
    }

    InterruptGuard& interrupts_;
    bool is_terminal_;
    std::string buffer_;
};

}  // namespace

std::unique_ptr<LineReader> LineReader::open(bool plain, InterruptGuard& interrupts) {
    if (!plain && isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0) return open_line_editor(interrupts);
    return std::make_unique<PlainReader>(interrupts);
}

LineRead read_message(LineReader& reader, std::string_view prompt) {
    std::string message;
    while (true) {
        LineRead line = reader.read(message.empty() ? prompt : std::string_view("| "));
        if (line.kind == LineRead::Kind::end && !message.empty()) return {LineRead::Kind::text, std::move(message)};
        if (line.kind != LineRead::Kind::text) return line;
        message += line.text;
        if (!message.ends_with('\\')) return {LineRead::Kind::text, std::move(message)};
        message.back() = '\n';
    }
}

}  // namespace quern
