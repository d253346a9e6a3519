// Goes on with a text: once, or in turns with the user.
#include <algorithm>
#include <cstdio>
#include <span>
#include <string_view>

#include "base/error.h"
#include "tools/run/answer.h"
#include "tools/run/line_reader.h"
#include "tools/run/sessions.h"
#include "tools/run/terminal_output.h"

namespace quern {
namespace {

/// Text of the command line: control tokens written in it count, as in llama.cpp.
std::vector<TokenId> tokenize_prompt(const Engine& engine, const std::string& text, bool add_special) {
    return engine.tokenizer().tokenize(text, {.add_special = add_special, .parse_special = true});
}

std::vector<TokenId> opening_tokens(const Engine& engine, const std::string& text) {
    std::vector<TokenId> tokens = tokenize_prompt(engine, text, true);
    if (tokens.empty())
        throw InvalidInput("the prompt is empty, and this model has no token to begin with: give some text with -p", "prompt");
    return tokens;
}

void show_prompt(TerminalOutput& output, const RunOptions& options, const std::string& text) {
    if (options.no_display_prompt) return;
    output.set_style(TextStyle::prompt);
    output.write(text);
    output.set_style(TextStyle::plain);
}

void report(const RunOptions& options, const SpeedReport& speed) {
    if (!options.quiet && speed.has_any()) std::fprintf(stderr, "%s\n", speed.line().c_str());
}

bool ends_with_any(std::string_view text, std::span<const std::string> endings) {
    return std::any_of(endings.begin(), endings.end(), [&](const std::string& ending) { return text.ends_with(ending); });
}

}  // namespace

int run_completion(Engine& engine, const RunOptions& options) {
    const std::string& text = *options.prompt;
    Request request = options.request();
    request.prompt = opening_tokens(engine, text);
    request.stop = options.reverse_prompts;

    TerminalOutput output(options.colour);
    InterruptGuard interrupts;
    const AnswerSink sink{.show = [&](std::string_view more) { output.write(more); },
                          .accepted = [&] { show_prompt(output, options, text); }};
    const Answer answer = stream_answer(engine, std::move(request), sink, interrupts);
    output.write("\n");
    SpeedReport speed;
    speed.add(answer.stats);
    report(options, speed);
    return answer.interrupted ? exit_interrupted : 0;
}

int run_interactive(Engine& engine, const RunOptions& options) {
    TerminalOutput output(options.colour);
    InterruptGuard interrupts;
    const std::unique_ptr<LineReader> reader = LineReader::open(options.simple_io, interrupts);
    SpeedReport speed;

    const std::string text = options.prompt.value_or("");
    std::vector<TokenId> tokens = tokenize_prompt(engine, text, true);
    show_prompt(output, options, text);
    bool users_turn = options.interactive_first || text.empty() || ends_with_any(text, options.reverse_prompts);
    while (true) {
        if (users_turn) {
            output.set_style(TextStyle::user);
            output.write(options.in_prefix);
            const LineRead line = read_message(*reader, "");
            output.set_style(TextStyle::plain);
            if (line.kind == LineRead::Kind::end) break;
            if (line.kind == LineRead::Kind::interrupted) continue;
            output.write(options.in_suffix);
            const std::string turn = options.in_prefix + line.text + "\n" + options.in_suffix;
            const std::vector<TokenId> more = tokenize_prompt(engine, turn, tokens.empty());
            tokens.insert(tokens.end(), more.begin(), more.end());
        }
        users_turn = true;
        Request request = options.request();
        request.prompt = tokens;
        interrupts.clear();
        const AnswerSink sink{.show = [&](std::string_view more) { output.write(more); }, .reverse_prompts = options.reverse_prompts};
        const Answer answer = stream_answer(engine, std::move(request), sink, interrupts);
        tokens.insert(tokens.end(), answer.tokens.begin(), answer.tokens.end());
        speed.add(answer.stats);
        if (answer.interrupted || answer.text.empty()) output.finish_line();
    }
    output.finish_line();
    report(options, speed);
    return 0;
}

}  // namespace quern
