// Flags as llama.cpp and llama-cpp-python spell them: `--n_ctx` and `--n-ctx` alike, and single-dash words such as `-ngl`.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace quern {

/// Rewrites arguments into what CLI11 understands: `-ngl 3` -> `--n-gpu-layers 3`, `--n_ctx=5` -> `--n-ctx 5`.
/// The options that `app` declares tell names from values, and values are left alone: `-p -ngl` asks for the prompt "-ngl".
/// @throws InvalidInput  for a single-dash word that is in no table
std::vector<std::string> normalize_flags(const CLI::App& app, std::span<const char* const> arguments);

/// What a subcommand does once its flags are read; gives the exit code.
using Command = std::function<int()>;

/// A subcommand: `setup` declares its options on the given app and returns what to run. One file each, listed in main.cpp.
struct Subcommand {
    const char* name;
    const char* description;
    Command (*setup)(CLI::App& app);
};

extern const Subcommand run_command, serve_command, bench_command, inspect_command, tokenize_command;
extern const Subcommand quantize_command, split_command, merge_command, verify_command, perplexity_command;
extern const Subcommand imatrix_command, embed_command;
extern const Subcommand convert_lora_command, merge_lora_command;
extern const Subcommand convert_command, convert_py_command, convert_hf_command;

}  // namespace quern
