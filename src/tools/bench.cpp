// quern bench: how fast a model reads prompts and generates on this machine, and what share of the memory's speed that is.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tools/bench/read_bandwidth.h"
#include "tools/bench/server_bench.h"
#include "tools/command_line.h"
#include "tools/engine_flags.h"
#include "tools/environment.h"

namespace quern {
namespace {

using Json = nlohmann::ordered_json;

struct BenchOptions {
    EngineOptions engine;
    std::vector<int64_t> n_prompt{512};
    std::vector<int64_t> n_generate{128};
    int repetitions = 3;
    JsonTarget json;
    std::string output_format;  ///< llama-bench's -o
    ServerBenchOptions server;
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t n = values.size();
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/// Different tokens on every call, so that no prefix is found in the cache.
class PromptMaker {
  public:
    explicit PromptMaker(int64_t n_vocab) : n_vocab_(n_vocab) {}

    std::vector<TokenId> make(int64_t n_tokens) {
        std::vector<TokenId> tokens(static_cast<size_t>(n_tokens));
        for (TokenId& token : tokens) {
            state_ = state_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
            token.value = static_cast<int32_t>((state_ >> 33) % static_cast<uint64_t>(n_vocab_));
        }
        return tokens;
    }

  private:
    int64_t n_vocab_;
    uint64_t state_ = 1;
};

GenerationStats generate(Engine& engine, std::vector<TokenId> prompt, int64_t n_tokens) {
    Request request;
    request.prompt = std::move(prompt);
    request.sampling.temperature = 0;
    request.max_tokens = n_tokens;
    request.ignore_end = true;
    const std::shared_ptr<Generation> generation = engine.submit(std::move(request));
    while (true) {
        const OutputDelta delta = generation->next();
        if (!delta.finish) continue;
        if (delta.finish == FinishReason::error) std::rethrow_exception(generation->failure());
        const GenerationStats stats = generation->stats();
        if (stats.n_generated_tokens < n_tokens)
            throw InvalidInput(
                concat("the window of ", engine.info().n_ctx, " tokens is too small for this measurement: use smaller -p and -n"));
        return stats;
    }
}

double prompt_speed(Engine& engine, PromptMaker& prompts, int64_t n_tokens) {
    return static_cast<double>(n_tokens) * 1000 / generate(engine, prompts.make(n_tokens), 1).prompt_ms;
}

/// One token more than asked for, since the clock starts when the first one is there.
double generation_speed(Engine& engine, PromptMaker& prompts, int64_t n_tokens) {
    return static_cast<double>(n_tokens) * 1000 / generate(engine, prompts.make(1), n_tokens + 1).generation_ms;
}

/// One row of the result.
struct Measurement {
    std::string name;  ///< "pp512", "tg128"
    bool generates = false;
    int64_t n_tokens = 0;
    std::vector<double> tokens_per_second;
    double speed() const { return median(tokens_per_second); }
};

std::vector<Measurement> measure(Engine& engine, const BenchOptions& options) {
    PromptMaker prompts(engine.info().n_vocab);
    std::vector<Measurement> rows;
    for (const int64_t n : options.n_prompt)
        if (n > 0) rows.push_back({concat("pp", n), false, n, {}});
    for (const int64_t n : options.n_generate)
        if (n > 0) rows.push_back({concat("tg", n), true, n, {}});
    generate(engine, prompts.make(std::min<int64_t>(16, engine.info().n_ctx / 2)), 2);  // pages the weights in, wakes the threads
    for (Measurement& row : rows)
        for (int i = 0; i < options.repetitions; ++i)
            row.tokens_per_second.push_back(row.generates ? generation_speed(engine, prompts, row.n_tokens)
                                                          : prompt_speed(engine, prompts, row.n_tokens));
    return rows;
}

/// Weights, and on average half of the cache that the generation fills.
double bytes_per_token(const ModelInfo& info, int64_t n_generated) {
    return static_cast<double>(info.weight_bytes_per_token) +
           static_cast<double>(info.kv_bytes_per_token) * static_cast<double>(n_generated) / 2;
}

Json to_json(const ModelInfo& info, const std::vector<Measurement>& rows, double bandwidth) {
    Json out = {{"model", info.name},         {"architecture", info.architecture}, {"path", info.path},
                {"size", info.file_bytes},    {"n_params", info.n_params},         {"device", info.device},
                {"isa", to_string(info.isa)}, {"n_threads", info.n_threads},       {"read_gb_s", bandwidth / 1e9}};
    Json samples = Json::object();
    bool has_roofline = false;
    for (const Measurement& row : rows) {
        out[row.name] = row.speed();
        samples[row.name] = row.tokens_per_second;
        if (!row.generates || has_roofline) continue;
        const double bytes_per_second = bytes_per_token(info, row.n_tokens) * row.speed();
        out["gb_s"] = bytes_per_second / 1e9;
        out["roofline"] = bytes_per_second / bandwidth;
        has_roofline = true;
    }
    out["samples"] = samples;
    return out;
}

void print_table(const ModelInfo& info, const std::vector<Measurement>& rows, double bandwidth) {
    std::printf("%s, %.1f MB, %s; memory reads at %.1f GB/s\n\n", info.name.c_str(), static_cast<double>(info.file_bytes) / 1e6,
                info.device.c_str(), bandwidth / 1e9);
    std::printf("%-8s  %10s  %10s  %10s  %8s  %8s\n", "test", "tok/s", "least", "most", "GB/s", "of peak");
    for (const Measurement& row : rows) {
        const auto [least, most] = std::minmax_element(row.tokens_per_second.begin(), row.tokens_per_second.end());
        std::printf("%-8s  %10.2f  %10.2f  %10.2f", row.name.c_str(), row.speed(), *least, *most);
        const double bytes_per_second = bytes_per_token(info, row.n_tokens) * row.speed();
        if (row.generates) std::printf("  %8.2f  %7.1f%%", bytes_per_second / 1e9, 100 * bytes_per_second / bandwidth);
        std::printf("\n");
    }
}

int64_t window_for(const BenchOptions& options) {
    constexpr int64_t margin = 2;  // the first token, and the one more that generation_speed() asks for
    int64_t most = 0;
    for (const int64_t n : options.n_prompt) most = std::max(most, n);
    for (const int64_t n : options.n_generate) most = std::max(most, n);
    return most + margin;
}

int bench(BenchOptions& options) {
    if (!options.server.server.empty()) return bench_server(options.server, options.engine.model_path, options.json);
    if (options.engine.model_path.empty())
        throw InvalidInput("nothing to measure: give a model's file with --model, or a server's URL with --server", "model");
    if (!options.output_format.empty() && options.output_format != "json" && options.output_format != "md")
        throw InvalidInput("-o may be json or md", "output");
    options.engine.isa = isa_from_environment();
    options.engine.n_sequences = 1;
    if (options.engine.n_ctx == 0) options.engine.n_ctx = window_for(options);
    const std::unique_ptr<Engine> engine = Engine::load(options.engine);
    const ModelInfo info = engine->info();
    const double bandwidth = measure_read_bandwidth(info.n_threads, info.isa);
    const std::vector<Measurement> rows = measure(*engine, options);
    const std::string json = to_json(info, rows, bandwidth).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    if (!options.json.file.empty()) write_text_file(options.json.file, json);
    if ((options.json.is_wanted && options.json.file.empty()) || options.output_format == "json")
        print_text(json);
    else
        print_table(info, rows, bandwidth);
    print_text("");  // whether all of the table has been written
    return 0;
}

Command setup(CLI::App& app) {
    const auto options = std::make_shared<BenchOptions>();
    declare_engine_flags(app, options->engine);
    app.get_option("--model")->required(false);
    declare_log_flags(app);
    const auto tokens = CLI::Range(int64_t{0}, int64_t{1} << 24);
    app.add_option("-p,--n-prompt", options->n_prompt, "prompt lengths, separated by commas; 0 leaves them out")
        ->delimiter(',')
        ->check(tokens)
        ->type_name("N");
    app.add_option("-n,--n-gen", options->n_generate, "how many tokens to generate, separated by commas; 0 leaves them out")
        ->delimiter(',')
        ->check(tokens)
        ->type_name("N");
    app.add_option("-r,--repetitions", options->repetitions, "runs of each; the median counts")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_option_function<std::string>(
           "--json",
           [options](const std::string& file) {
               options->json = {true, file};
           },
           "one JSON object: instead of the table, or in FILE beside it")
        ->expected(0, 1)
        ->type_name("[FILE]");
    app.add_option("-o,--output", options->output_format, "json or md")->type_name("FORMAT");
    declare_server_flags(app, options->server);
    for (const char* of_a_file : {"--n-ctx", "--threads", "--n-batch", "--cache-type-k", "--cache-type-v", "--n-gpu-layers", "--n-prompt",
                                  "--n-gen", "--repetitions", "--output"})
        app.get_option("--server")->excludes(app.get_option(of_a_file));
    return [options] { return bench(*options); };
}

}  // namespace

const Subcommand bench_command = {"bench", "measures prompt and generation speed against the memory's limit", &setup};

}  // namespace quern
