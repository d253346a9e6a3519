// The flags that load a model, the same for every subcommand that does.
#pragma once

#include <CLI/CLI.hpp>

#include "engine/engine.h"

namespace quern {

/// Declares -m, -c, -t, -b, -ngl, --lora and the like, and checks their ranges. `options` must outlive `app`.
void declare_engine_flags(CLI::App& app, EngineOptions& options);

/// Declares -v and --log-disable; both act as soon as they are parsed.
void declare_log_flags(CLI::App& app);

}  // namespace quern
