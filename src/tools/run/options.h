// The flags of `quern run`, named and defaulted as llama.cpp's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "engine/engine.h"

namespace quern {

/// What to do with the model.
enum class RunMode {
    completion,   ///< goes on with a text and ends
    chat,         ///< a conversation through the chat template
    interactive,  ///< goes on with a text, and hands over to the user whenever it stops
};

struct RunOptions {
    EngineOptions engine;
    SamplingParams sampling;
    std::optional<std::string> prompt;  ///< of -p or -f
    std::string prompt_file, system_prompt_file;
    std::string system_prompt;
    std::string in_prefix, in_suffix;
    std::vector<std::string> reverse_prompts;
    int64_t n_predict = -1;  ///< -1 and -2: until the window is full
    int64_t seed = -1;       ///< -1: a random one
    std::string logits_file;
    bool chat = false, no_chat = false, interactive = false, interactive_first = false, single_turn = false;
    bool escapes = false, no_escapes = false;
    bool no_display_prompt = false, colour = false, simple_io = false, ignore_eos = false, all_logits = false;
    bool quiet = false;  ///< --log-disable

    /// The request that these options make, but for its prompt.
    Request request() const;
};

/// Declares the flags. `options` must outlive `app`.
void declare_run_options(CLI::App& app, RunOptions& options);

/// After parsing: reads the prompt file, replaces escapes, asks the environment, and checks what no single flag can check.
/// @throws InvalidInput
void complete_run_options(RunOptions& options);

}  // namespace quern
