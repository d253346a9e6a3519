#include "tools/bench/server_bench.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "base/error.h"
#include "tools/bench/load.h"
#include "tools/bench/load_report.h"
#include "tools/environment.h"
#include "tools/text_file.h"

namespace quern {
namespace {

std::vector<std::string> lines_of(const std::string& path) {
    const std::string text = read_text_file(path);
    std::vector<std::string> lines;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        std::string line = text.substr(at, end - at);
        if (line.ends_with('\r')) line.pop_back();
        if (!line.empty()) lines.push_back(std::move(line));
        at = end + 1;
    }
    if (lines.empty()) throw InvalidInput(concat(path, " holds no prompt: it wants one on each line"), "prompts");
    return lines;
}

PromptSource make_prompts(const ServerBenchOptions& options) {
    if (!options.prompt.empty()) return PromptSource::of_texts({options.prompt});
    if (!options.prompts_file.empty()) return PromptSource::of_texts(lines_of(options.prompts_file));
    if (options.id_limit > 0) return PromptSource::of_ids(options.seed, options.id_limit);
    return PromptSource::of_words(options.seed);
}

void check(const ServerBenchOptions& options) {
    if (options.n_shared > options.n_prompt)
        throw InvalidInput("--shared-prefix is a part of --prompt-len: it cannot be longer", "shared-prefix");
    if (options.is_chat && options.id_limit > 0)
        throw InvalidInput("--prompt-ids works with --completions only: a chat has no token ids", "prompt-ids");
    if (!options.plot_file.empty() && !options.plot_file.ends_with(".svg"))
        throw InvalidInput(concat("--plot ", options.plot_file, ": plots are SVG pictures, so the file's name ends in .svg"), "plot");
}

LoadConditions conditions_of(const ServerBenchOptions& options, const RequestShape& shape, bool has_made_prompts) {
    return {.server = options.server,
            .model = shape.model,
            .is_chat = shape.is_chat,
            .n_concurrent = options.n_concurrent,
            .n_requests = options.n_requests > 0 ? options.n_requests : 4 * int64_t{options.n_concurrent},
            .n_output = options.n_output,
            .n_prompt = has_made_prompts ? options.n_prompt : 0,
            .n_shared = has_made_prompts ? options.n_shared : 0,
            .temperature = options.temperature,
            .seed = options.seed,
            .n_warm_up = options.n_warm_up};
}

std::vector<RequestRecord> measure(LoadGenerator& load, const LoadConditions& asked) {
    const bool is_terminal = isatty(STDERR_FILENO) != 0;
    int64_t n_done = 0;
    auto records = load.run(asked.n_requests, asked.n_concurrent, [&](const RequestRecord&) {
        if (is_terminal)
            std::fprintf(stderr, "\r%lld of %lld requests", static_cast<long long>(++n_done), static_cast<long long>(asked.n_requests));
    });
    if (is_terminal) std::fprintf(stderr, "\r\033[K");
    return records;
}

}  // namespace

void write_text_file(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    if (!file) throw DeviceError(concat("cannot write ", path));
}

void print_text(const std::string& text) {
    const bool is_written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
    if (!is_written || std::ferror(stdout) != 0) throw DeviceError("cannot write to standard output");
}

int bench_server(const ServerBenchOptions& options, std::string model, const JsonTarget& json) {
    check(options);
    HttpClient::Options client{.url = parse_server_url(options.server),
                               .api_key = options.api_key.empty() ? environment_variable("API_KEY").value_or("") : options.api_key,
                               .timeout = std::chrono::milliseconds(static_cast<int64_t>(options.timeout_s * 1000)),
                               .checks_certificate = !options.is_insecure};
    for (const char c : client.api_key)
        if (c < ' ' || c == 0x7f) throw InvalidInput("the API key holds control characters", "api-key");
    LoadGenerator load(std::move(client));
    load.prompts() = make_prompts(options);
    std::vector<RequestRecord> records;
    LoadConditions asked;
    try {
        if (model.empty()) model = load.first_model();
        load.shape() = {.model = model,
                        .is_chat = options.is_chat,
                        .n_output = options.n_output,
                        .temperature = options.temperature,
                        .seed = options.seed,
                        .ignore_eos = options.ignore_eos};
        const bool is_made = load.prompts().is_made();
        if (is_made) load.calibrate(options.n_prompt, options.n_shared);
        for (int i = 0; i < options.n_warm_up; ++i) load.warm_up();
        asked = conditions_of(options, load.shape(), is_made);
        records = measure(load, asked);
    } catch (const CallFailure& failure) {
        throw InvalidInput(concat("cannot measure ", options.server, ": ", failure.what()), "server");
    }
    const LoadReport report = make_report(asked, records);
    const std::string json_text = report_json(report, records).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
    if (!json.file.empty()) write_text_file(json.file, json_text);
    if (!options.plot_file.empty()) write_text_file(options.plot_file, report_plot(report));
    print_text(json.is_wanted && json.file.empty() ? json_text : report_table(report));
    return report.n_succeeded > 0 ? 0 : 1;
}

void declare_server_flags(CLI::App& app, ServerBenchOptions& options) {
    constexpr int64_t most_tokens = int64_t{1} << 22;
    CLI::Option* server = app.add_option("--server", options.server,
                                         "measure this server: http://HOST:PORT, https://HOST, unix:/PATH; -m is then the "
                                         "model's name there (default: the first it lists)")
                              ->group("Server")
                              ->type_name("URL");
    const auto add = [&](CLI::Option* option, const char* type) {
        option->group("Server")->needs(server);
        if (type != nullptr) option->type_name(type);
        return option;
    };
    add(app.add_option("--api-key", options.api_key, "the server's key (or the environment variable API_KEY)"), "KEY");
    add(app.add_option("--concurrency", options.n_concurrent, "requests at once"), "N")->check(CLI::Range(1, 10000))->capture_default_str();
    add(app.add_option("--requests", options.n_requests, "requests in all (default: 4 times --concurrency)"), "N")
        ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}));
    add(app.add_option("--prompt-len", options.n_prompt, "tokens of each prompt, made of common words"), "N")
        ->check(CLI::Range(int64_t{1}, most_tokens))
        ->capture_default_str();
    add(app.add_option("--output-len", options.n_output, "most tokens of each answer"), "N")
        ->check(CLI::Range(int64_t{1}, most_tokens))
        ->capture_default_str();
    add(app.add_option("--shared-prefix", options.n_shared, "tokens at the beginning that all prompts share"), "N")
        ->check(CLI::Range(int64_t{0}, most_tokens));
    CLI::Option* prompt = add(app.add_option("--prompt", options.prompt, "this prompt instead"), "TEXT");
    CLI::Option* file =
        add(app.add_option("--prompts", options.prompts_file, "prompts from a file, one on each line"), "FILE")->excludes(prompt);
    add(app.add_option("--prompt-ids", options.id_limit, "prompts of random token ids below N, for models without words"), "N")
        ->check(CLI::Range(1, 1 << 24))
        ->excludes(prompt)
        ->excludes(file);
    CLI::Option* completions = add(app.add_flag("--completions", options.is_completions, "ask /v1/completions (default)"), nullptr);
    add(app.add_flag("--chat", options.is_chat, "ask /v1/chat/completions"), nullptr)->excludes(completions);
    add(app.add_flag("--ignore-eos", options.ignore_eos, "ask for answers of full length (quern, llama.cpp, vLLM)"), nullptr);
    add(app.add_option("--temp,--temperature", options.temperature, "temperature"), "T")
        ->check(CLI::Range(0.0, 100.0))
        ->capture_default_str();
    add(app.add_option("-s,--seed", options.seed, "of prompts and answers"), "N")->capture_default_str();
    add(app.add_option("--warm-up", options.n_warm_up, "requests before those that count"), "N")
        ->check(CLI::Range(0, 1000))
        ->capture_default_str();
    add(app.add_option("--timeout", options.timeout_s, "seconds for a whole answer"), "S")
        ->check(CLI::Range(0.001, 1e6))
        ->capture_default_str();
    add(app.add_flag("--insecure", options.is_insecure, "take any certificate"), nullptr);
    add(app.add_option("--plot", options.plot_file, "draw times and throughput"), "FILE.svg");
}

}  // namespace quern
