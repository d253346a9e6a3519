// The flags that load a model, the same for every subcommand that does.
#pragma once

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "engine/engine.h"

namespace quern {

/// Declares -m, -c, -t, -b, -ngl, --lora and the like, and checks their ranges. `options` must outlive `app`.
void declare_engine_flags(CLI::App& app, EngineOptions& options);

/// What llama.cpp's --verbosity N stands for here: more is said from 3 on.
LogLevel level_of_verbosity(int64_t verbosity);

/// Declares -v, --log-disable, --log-file and so on; they act as soon as they are parsed.
/// @param takes_words  `-v true` is the same as -v: for commands without positional arguments
void declare_log_flags(CLI::App& app, bool takes_words = false);

}  // namespace quern
