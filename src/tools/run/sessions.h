// The three ways to use a model from the command line.
#pragma once

#include "engine/engine.h"
#include "tools/run/options.h"

namespace quern {

/// Each returns the exit code: 0, or 130 when Ctrl-C ended it.
int run_completion(Engine& engine, const RunOptions& options);
int run_interactive(Engine& engine, const RunOptions& options);
/// @throws InvalidInput  when the model has no chat template and none was named
int run_chat(Engine& engine, const RunOptions& options);

/// The exit code of a program that Ctrl-C ended, as shells count it.
inline constexpr int exit_interrupted = 130;

}  // namespace quern
