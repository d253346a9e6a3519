// A conversation on the command line: the model's chat template, a history, and a few commands.
#include <cstdio>
#include <string>

#include "base/error.h"
#include "base/printable.h"
#include "engine/chat_tokens.h"
#include "tools/run/answer.h"
#include "tools/run/line_reader.h"
#include "tools/run/sessions.h"
#include "tools/run/terminal_output.h"

namespace quern {
namespace {

constexpr const char* help_text =
    "  /clear   forgets the conversation\n"
    "  /exit    leaves, as Ctrl-D does\n"
    "  /help    shows this\n"
    "  A line that ends in a backslash goes on in the next. Ctrl-C stops an answer; on an empty line it leaves.\n";

class Chat {
  public:
    Chat(Engine& engine, const RunOptions& options)
        : engine_(engine), options_(options), output_(options.colour), reader_(LineReader::open(options.simple_io, interrupts_)) {
        forget();
    }

    int run() {
        if (options_.prompt && !options_.prompt->empty()) {
            show_first_message(*options_.prompt);
            answer(*options_.prompt);
            if (options_.single_turn) return finish();
        }
        while (true) {
            output_.set_style(TextStyle::user);
            const LineRead line = read_message(*reader_, "> ");
            output_.set_style(TextStyle::plain);
            if (line.kind == LineRead::Kind::end) return finish();
            if (line.kind == LineRead::Kind::interrupted || line.text.find_first_not_of(" \t\n") == std::string::npos) continue;
            if (line.text == "/exit" || line.text == "/quit" || line.text == "/bye") return finish();
            if (line.text == "/help" || line.text == "/?")
                note(help_text);
            else if (line.text == "/clear")
                forget();
            else
                answer(line.text);
            if (options_.single_turn) return finish();
        }
    }

  private:
    void forget() {
        messages_ = Json::array();
        if (!options_.system_prompt.empty()) messages_.push_back({{"role", "system"}, {"content", options_.system_prompt}});
    }

    void show_first_message(const std::string& text) {
        if (options_.no_display_prompt || !output_.is_terminal()) return;
        output_.set_style(TextStyle::user);
        output_.write("> " + text + "\n");
        output_.set_style(TextStyle::plain);
    }

    /// One turn. A message that cannot be answered is taken back, so that the conversation can go on.
    void answer(const std::string& text) {
        messages_.push_back({{"role", "user"}, {"content", options_.in_prefix + text + options_.in_suffix}});
        try {
            Request request = options_.request();
            request.prompt = engine_.tokenize_chat({.messages = messages_});
            request.stop = options_.reverse_prompts;
            interrupts_.clear();
            const Answer given =
                stream_answer(engine_, std::move(request), {.show = [&](std::string_view more) { output_.write(more); }}, interrupts_);
            interrupted_ = given.interrupted;
            output_.write("\n");
            speed_.add(given.stats);
            messages_.push_back({{"role", "assistant"}, {"content", given.text}});
            if (given.finish == FinishReason::length && is_window_full(given)) note(window_text("the answer ends here"));
        } catch (const ContextOverflow&) {
            messages_.erase(messages_.size() - 1);
            all_answered_ = false;
            note(window_text("this message was not sent"));
        } catch (const InvalidInput& error) {
            output_.finish_line();
            messages_.erase(messages_.size() - 1);
            all_answered_ = false;
            note(concat("quern run: ", one_line(error.what()), "\n"));
        }
    }

    bool is_window_full(const Answer& given) const {
        return given.stats.n_prompt_tokens + given.stats.n_generated_tokens >= engine_.info().n_ctx - 1;
    }

    std::string window_text(const char* consequence) const {
        return concat("the window of ", engine_.info().n_ctx, " tokens is full: ", consequence,
                      ". /clear starts afresh, -c N gives a larger window.\n");
    }

    void note(const std::string& text) { std::fputs(text.c_str(), stderr); }

    int finish() {
        if (!options_.quiet && speed_.has_any()) note(speed_.line() + "\n");
        if (interrupted_ && options_.single_turn) return exit_interrupted;
        return all_answered_ || output_.is_terminal() ? 0 : 1;  // nobody sees the note in a script
    }

    Engine& engine_;
    const RunOptions& options_;
    TerminalOutput output_;
    InterruptGuard interrupts_;
    std::unique_ptr<LineReader> reader_;
    Json messages_;
    SpeedReport speed_;
    bool interrupted_ = false, all_answered_ = true;
};

}  // namespace

int run_chat(Engine& engine, const RunOptions& options) {
    if (!engine.info().chat_template_error.empty()) refuse_chat(engine.info());
    if (engine.chat_template() == nullptr)
        throw InvalidInput("this model brings no chat template: name one, for example --chat-format chatml", "chat_format");
    return Chat(engine, options).run();
}

}  // namespace quern
