// quern run: one model on the command line, for a text, a conversation, or the raw logits.
#include <unistd.h>

#include <bit>
#include <fstream>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "tools/command_line.h"
#include "tools/run/options.h"
#include "tools/run/sessions.h"

namespace quern {
namespace {

/// Logits of the prompt's last token, or of every token, as rows of f32 in little-endian order.
void write_logits(Engine& engine, const RunOptions& options) {
    static_assert(std::endian::native == std::endian::little);
    const std::vector<TokenId> tokens = engine.tokenizer().tokenize(*options.prompt, {.add_special = true, .parse_special = true});
    if (tokens.empty()) throw InvalidInput("--logits-out: the prompt has no tokens", "prompt");
    std::ofstream file(options.logits_file, std::ios::binary | std::ios::trunc);
    if (!file) throw InvalidInput(concat("cannot write ", options.logits_file), "logits-out");
    const int64_t first = options.all_logits ? 0 : static_cast<int64_t>(tokens.size()) - 1;
    engine.evaluate(tokens, first, [&](int64_t, std::span<const float> logits) {
        file.write(reinterpret_cast<const char*>(logits.data()), static_cast<std::streamsize>(logits.size_bytes()));
    });
    file.close();
    if (!file) throw DeviceError(concat("writing ", options.logits_file, " failed: is the disk full?"));
}

RunMode mode_of(const RunOptions& options, const Engine& engine) {
    if (options.chat) return RunMode::chat;
    if (options.interactive || options.interactive_first) return RunMode::interactive;
    if (options.prompt) return RunMode::completion;
    if (!options.no_chat && !engine.info().chat_template_error.empty()) return RunMode::chat;  // which says what is wrong with it
    if (options.no_chat || engine.chat_template() == nullptr)
        throw InvalidInput("there is nothing to go on with: give a text with -p or -f, or --chat", "prompt");
    return RunMode::chat;
}

int run(RunOptions& options) {
    complete_run_options(options);
    const std::unique_ptr<Engine> engine = Engine::load(options.engine);
    if (!options.logits_file.empty()) {
        write_logits(*engine, options);
        if (options.n_predict < 0) return 0;
    }
    switch (mode_of(options, *engine)) {
        case RunMode::completion:
            return run_completion(*engine, options);
        case RunMode::interactive:
            return run_interactive(*engine, options);
        case RunMode::chat:
            return run_chat(*engine, options);
    }
    throw InternalError("quern run has a mode that it does not know");
}

Command setup(CLI::App& app) {
    const auto options = std::make_shared<RunOptions>();
    declare_run_options(app, *options);
    return [options] { return run(*options); };
}

}  // namespace

const Subcommand run_command = {"run", "goes on with a text, or chats", &setup};

}  // namespace quern
