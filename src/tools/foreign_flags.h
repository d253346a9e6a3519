// Flags of llama.cpp's programs that a quern subcommand does not have itself: scripts that pass them go on working where that is harmless.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

namespace quern {

/// Declares, hidden from --help, every known flag of llama.cpp that `app` lacks. Call it after the subcommand's own options.
void declare_foreign_flags(CLI::App& app);

/// After parsing: one line that lists the flags given without effect, or "".
/// @throws InvalidInput  for a flag that would have changed the output: quern says so rather than ignoring it
std::string check_foreign_flags(const CLI::App& app);

/// For a key that stands in a configuration file, "cont_batching" or "cont-batching": why the flag of that name has no effect here, or why
/// it is refused. Nothing: there is no such flag.
struct ForeignKey {
    const char* why = nullptr;
    bool is_refused = false;
};
std::optional<ForeignKey> find_foreign_key(std::string_view key);

}  // namespace quern
