// quern bench --server: measures a server that speaks OpenAI's API, whoever made it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace quern {

struct ServerBenchOptions {
    std::string server, api_key, prompt, prompts_file, plot_file;
    int n_concurrent = 1;
    int64_t n_requests = 0;  ///< 0: four for each that runs at once
    int64_t n_prompt = 128, n_output = 128, n_shared = 0;
    int32_t id_limit = 0;
    int n_warm_up = 1;
    bool is_chat = false, is_completions = false, ignore_eos = false, is_insecure = false;
    double temperature = 0, timeout_s = 600;
    uint64_t seed = 1;
};

/// Declares the flags of a measured server. All but --server need it.
void declare_server_flags(CLI::App& app, ServerBenchOptions& options);

/// Where the JSON goes: nowhere, to standard output in place of the table, or to a file beside the table.
struct JsonTarget {
    bool is_wanted = false;
    std::string file;
};

/// @param model  its name in the server; "": the first that the server lists
/// @return the exit code: 1 when no request succeeded. @throws InvalidInput  when the server cannot be measured at all
int bench_server(const ServerBenchOptions& options, std::string model, const JsonTarget& json);

/// @throws DeviceError  when it cannot be written
void write_text_file(const std::string& path, const std::string& text);
/// To standard output, with what has been printed there before. @throws DeviceError  when it cannot be written, any of it
void print_text(const std::string& text);

}  // namespace quern
