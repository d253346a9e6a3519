// Flags of llama.cpp's programs that a quern subcommand does not have itself: scripts that pass them go on working where that is harmless.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace quern {

/// Declares, hidden from --help, every known flag of llama.cpp that `app` lacks. Call it after the subcommand's own options.
void declare_foreign_flags(CLI::App& app);

/// After parsing: one line that lists the flags given without effect, or "".
/// @throws InvalidInput  for a flag that would have changed the output: quern says so rather than ignoring it
std::string check_foreign_flags(const CLI::App& app);

}  // namespace quern
