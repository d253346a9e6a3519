#include "tools/run/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <cwchar>

#include "base/error.h"
#include "tools/run/interrupt.h"

namespace quern {
namespace {

constexpr int history_length = 1000;

/// libedit reads characters by the locale; a bare C locale would split Chinese into bytes.
void use_utf8_locale() {
    if (std::setlocale(LC_CTYPE, "") != nullptr && std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0) return;
    std::setlocale(LC_CTYPE, "C.UTF-8");
}

// A signal handler can reach nothing but globals.
termios terminal_before;

extern "C" void give_terminal_back(int signal) {
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

/// Whoever ends the program while a line is edited finds the terminal as it was.
void guard_terminal() {
    if (tcgetattr(STDIN_FILENO, &terminal_before) != 0) return;
    std::signal(SIGTERM, give_terminal_back);
    std::signal(SIGHUP, give_terminal_back);
    std::signal(SIGQUIT, give_terminal_back);
}

class LineEditor : public LineReader {
  public:
    explicit LineEditor(InterruptGuard& interrupts) : interrupts_(interrupts) {
        use_utf8_locale();
        guard_terminal();
        editor_ = el_init("quern", stdin, stdout, stderr);
        history_ = history_init();
        if (editor_ == nullptr || history_ == nullptr) throw DeviceError("cannot set up line editing; use --simple-io");
        HistEvent event;
        history(history_, &event, H_SETSIZE, history_length);
        history(history_, &event, H_SETUNIQUE, 1);
        el_set(editor_, EL_CLIENTDATA, this);
        el_set(editor_, EL_PROMPT, &LineEditor::show_prompt);
        el_set(editor_, EL_EDITOR, "emacs");
        el_set(editor_, EL_HIST, history, history_);
        el_set(editor_, EL_GETCFN, &LineEditor::read_character);
        el_set(editor_, EL_BIND, "^[[3~", "ed-delete-next-char", nullptr);
        el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    }

    ~LineEditor() override {
        if (history_ != nullptr) history_end(history_);
        if (editor_ != nullptr) el_end(editor_);
    }

    LineRead read(std::string_view prompt) override {
        prompt_ = std::string(prompt);
        line_was_empty_ = true;
        interrupts_.clear();
        el_set(editor_, EL_PREP_TERM, 1);  // before the prompt shows, so that a quick Ctrl-D counts
        int length = 0;
        const char* line = el_gets(editor_, &length);
        if (interrupts_.requested()) {
            interrupts_.clear();
            std::fputs("\n", stdout);
            std::fflush(stdout);
            return {line_was_empty_ ? LineRead::Kind::end : LineRead::Kind::interrupted, {}};
        }
        if (line == nullptr || length <= 0) {
            std::fputs("\n", stdout);
            std::fflush(stdout);
            return {};
        }
        std::string text(line, static_cast<size_t>(length));
        if (text.ends_with('\n')) text.pop_back();
        if (!text.empty()) {
            HistEvent event;
            history(history_, &event, H_ENTER, text.c_str());
        }
        return {LineRead::Kind::text, std::move(text)};
    }

  private:
    static LineEditor& of(EditLine* editor) {
        void* self = nullptr;
        el_get(editor, EL_CLIENTDATA, &self);
        return *static_cast<LineEditor*>(self);
    }

    static char* show_prompt(EditLine* editor) { return of(editor).prompt_.data(); }

    /// libedit's own reader takes up a read again after a signal, so Ctrl-C would do nothing.
    static int read_character(EditLine* editor, wchar_t* out) {
        LineEditor& self = of(editor);
        std::mbstate_t state = {};
        while (true) {
            if (!self.interrupts_.wait_readable(STDIN_FILENO)) {
                const LineInfo* line = el_line(editor);
                self.line_was_empty_ = line->lastchar == line->buffer;
                return -1;
            }
            char byte = 0;
            const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return static_cast<int>(n);
            const bool began_before = std::mbsinit(&state) == 0;
            size_t used = std::mbrtowc(out, &byte, 1, &state);
            if (used == static_cast<size_t>(-1)) {  // not UTF-8: drop what began before, and the byte unless it begins a character itself
                state = {};
                if (!began_before) continue;
                used = std::mbrtowc(out, &byte, 1, &state);
                if (used == static_cast<size_t>(-1)) state = {};
            }
            if (used != static_cast<size_t>(-1) && used != static_cast<size_t>(-2)) return 1;
        }
    }

    InterruptGuard& interrupts_;
    EditLine* editor_ = nullptr;
    History* history_ = nullptr;
    std::string prompt_;
    bool line_was_empty_ = true;
};

}  // namespace

std::unique_ptr<LineReader> open_line_editor(InterruptGuard& interrupts) { return std::make_unique<LineEditor>(interrupts); }

}  // namespace quern
