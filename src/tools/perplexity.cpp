// quern perplexity: how well a model expects a text, and how far it is from another one.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "engine/engine.h"
#include "tools/command_line.h"
#include "tools/engine_flags.h"
#include "tools/environment.h"
#include "tools/perplexity/logprob_file.h"
#include "tools/perplexity/report.h"
#include "tools/perplexity/token_score.h"
#include "tools/perplexity/windows.h"
#include "tools/progress_line.h"
#include "tools/text_file.h"

namespace quern {
namespace {

struct PerplexityOptions {
    EngineOptions engine{.n_ctx = 512};
    std::string text_file, base_file;
    int64_t n_chunks = 0, stride = 0;
    bool compare = false, json = false;
};

/// The windows of a text and the model that sees them.
struct Evaluation {
    Engine& engine;
    std::span<const TokenId> text;
    TextWindows windows;

    /// The token that the logits of a scored row are held against.
    TokenId actual(int64_t window, int64_t row) const {
        return text[static_cast<size_t>(window * windows.stride + windows.first_scored + row + 1)];
    }
};

/// Called for each scored row of a window with its logits [n_vocab], from several threads at once.
using ScoreRow = std::function<void(int64_t window, int64_t row, std::span<const float> logits)>;
/// Called once all rows of a window are scored; gives the perplexity so far.
using FinishWindow = std::function<double(int64_t window)>;

/// Runs all windows and shows how far it is. @return seconds
double run_windows(const Evaluation& evaluation, const ScoreRow& score, const FinishWindow& finish, bool print) {
    const TextWindows& windows = evaluation.windows;
    const Tokenizer& tokenizer = evaluation.engine.tokenizer();
    const std::optional<TokenId> begin = tokenizer.adds_bos() ? tokenizer.vocabulary().bos : std::nullopt;
    const auto n_vocab = static_cast<size_t>(evaluation.engine.info().n_vocab);
    ThreadPool pool(evaluation.engine.info().n_threads);
    ProgressLine line;
    for (int64_t window = 0; window < windows.n_windows; ++window) {
        const auto take = [&](int64_t first_position, std::span<const float> logits) {
            const auto n_rows = static_cast<int64_t>(logits.size() / n_vocab);
            pool.for_each(n_rows, [&](int64_t i, int) noexcept {
                const int64_t row = first_position + i - windows.first_scored;
                if (row < windows.n_scored()) score(window, row, logits.subspan(static_cast<size_t>(i) * n_vocab, n_vocab));
            });
        };
        evaluation.engine.evaluate(window_tokens(evaluation.text, windows, window, begin), windows.first_scored, take);
        const double perplexity = finish(window);
        if (print) std::printf("[%lld]%.4f,", static_cast<long long>(window + 1), perplexity);
        if (print) std::fflush(stdout);
        line.show(static_cast<double>(window + 1) / static_cast<double>(windows.n_windows), concat("PPL ", perplexity));
    }
    if (print) std::printf("\n");
    return line.seconds();
}

void check_finite(double nll, int64_t token) {
    if (!std::isfinite(nll))
        throw ModelError(concat("the model gives no probability to token ", token, " of the text: its logits are not finite"));
}

PerplexityRun describe(const Evaluation& evaluation, double seconds) {
    return {.model = evaluation.engine.info().path,
            .n_ctx = evaluation.windows.n_ctx,
            .n_windows = evaluation.windows.n_windows,
            .n_scored = evaluation.windows.n_windows * evaluation.windows.n_scored(),
            .seconds = seconds};
}

/// Scores the windows, and keeps the distributions where `writer` is given.
std::string measure(const Evaluation& evaluation, LogprobWriter* writer, const LogprobFileHeader& header, bool json) {
    RunningMean nll;
    const auto n_rows = static_cast<size_t>(evaluation.windows.n_scored()), n_codes = static_cast<size_t>(header.row_codes());
    std::vector<double> scores(n_rows);
    std::vector<uint16_t> codes(writer ? n_rows * n_codes : 0);
    const auto score = [&](int64_t window, int64_t row, std::span<const float> logits) {
        const auto at = static_cast<size_t>(row);
        scores[at] = negative_log_likelihood(logits, evaluation.actual(window, row));
        if (writer && std::isfinite(scores[at])) LogprobWriter::encode(logits, std::span(codes).subspan(at * n_codes, n_codes));
    };
    const auto finish = [&](int64_t window) {
        for (size_t i = 0; i < n_rows; ++i) {
            check_finite(scores[i], window * evaluation.windows.stride + evaluation.windows.first_scored + static_cast<int64_t>(i) + 1);
            nll.add(scores[i]);
        }
        if (writer) writer->write(codes);
        return std::exp(nll.mean());
    };
    const double seconds = run_windows(evaluation, score, finish, !json);
    if (writer) writer->commit();
    const PerplexityRun run = describe(evaluation, seconds);
    return json ? perplexity_json(run, nll) : perplexity_text(run, nll);
}

/// Scores the windows against a base's distributions.
std::string compare(const Evaluation& evaluation, const LogprobFile& base, bool json) {
    const auto n_rows = static_cast<size_t>(evaluation.windows.n_scored()), n_vocab = static_cast<size_t>(base.header().n_vocab);
    std::vector<TokenComparison> tokens(n_rows * static_cast<size_t>(evaluation.windows.n_windows));
    RunningMean nll;
    const auto score = [&](int64_t window, int64_t row, std::span<const float> logits) {
        std::vector<float> expected(n_vocab);
        const float least = base.decode(window, row, expected);
        tokens[static_cast<size_t>(window) * n_rows + static_cast<size_t>(row)] =
            compare_distributions(expected, least, logits, evaluation.actual(window, row));
    };
    const auto finish = [&](int64_t window) {
        for (size_t i = 0; i < n_rows; ++i) {
            const TokenComparison& token = tokens[static_cast<size_t>(window) * n_rows + i];
            check_finite(token.nll, window * evaluation.windows.stride + evaluation.windows.first_scored + static_cast<int64_t>(i) + 1);
            nll.add(token.nll);
        }
        return std::exp(nll.mean());
    };
    const double seconds = run_windows(evaluation, score, finish, !json);
    const PerplexityRun run = describe(evaluation, seconds);
    return json ? comparison_json(run, tokens) : comparison_text(run, tokens);
}

std::string measure_text(PerplexityOptions& options, Engine& engine) {
    const std::vector<TokenId> text = engine.tokenizer().tokenize(read_text_file(options.text_file), {.add_special = true});
    const TextWindows windows = cut_windows(static_cast<int64_t>(text.size()), options.engine.n_ctx, options.stride, options.n_chunks);
    const LogprobFileHeader header{.n_ctx = static_cast<int32_t>(windows.n_ctx),
                                   .n_vocab = static_cast<int32_t>(engine.info().n_vocab),
                                   .n_chunks = static_cast<int32_t>(windows.n_windows)};
    std::optional<LogprobWriter> writer;
    if (!options.base_file.empty()) {
        const auto n_kept = static_cast<size_t>(windows.n_windows * windows.n_ctx);
        writer.emplace(options.base_file, header, std::span(text).first(n_kept));
    }
    return measure({engine, text, windows}, writer ? &*writer : nullptr, header, options.json);
}

std::string compare_with_base(PerplexityOptions& options) {
    const LogprobFile base(options.base_file);
    options.engine.n_ctx = base.header().n_ctx;
    const std::unique_ptr<Engine> engine = Engine::load(options.engine);
    if (engine->info().n_vocab != base.header().n_vocab)
        throw InvalidInput(concat(options.base_file, " is of a model with ", base.header().n_vocab,
                                  " tokens in its vocabulary, but this one has ", engine->info().n_vocab),
                           "kl-divergence-base");
    const TextWindows windows = cut_windows(static_cast<int64_t>(base.tokens().size()), base.header().n_ctx, 0, options.n_chunks);
    return compare({*engine, base.tokens(), windows}, base, options.json);
}

int perplexity(PerplexityOptions& options) {
    options.engine.isa = isa_from_environment();
    options.engine.n_sequences = 1;
    options.engine.n_outputs = options.engine.n_batch;
    if (options.compare && options.base_file.empty())
        throw InvalidInput("--kl-divergence needs the base's file: --kl-divergence-base FILE", "kl-divergence-base");
    if (!options.base_file.empty() && options.stride > 0)
        throw InvalidInput("--stride goes with a plain measurement only, not with --kl-divergence-base", "stride");
    if (!options.compare && options.text_file.empty()) throw InvalidInput("a text is needed: -f FILE", "file");
    std::string report;
    if (options.compare) {
        report = compare_with_base(options);
    } else {
        if (options.engine.n_ctx == 0) options.engine.n_ctx = 512;
        report = measure_text(options, *Engine::load(options.engine));
    }
    std::fputs(report.c_str(), stdout);
    if (std::fflush(stdout) != 0) throw DeviceError("cannot write the result to standard output");
    return 0;
}

Command setup(CLI::App& app) {
    const auto options = std::make_shared<PerplexityOptions>();
    declare_engine_flags(app, options->engine);
    app.get_option("--ctx-size")->description("tokens in a window; 0: 512")->default_str("512");
    app.add_option("-f,--file", options->text_file, "the text to expect")->type_name("FILE");
    app.add_option("--chunks", options->n_chunks, "most windows; 0 or -1: all of the text")
        ->check(CLI::Range(int64_t{-1}, int64_t{1} << 30))
        ->type_name("N");
    app.add_option("--stride,--ppl-stride", options->stride, "start a window every N tokens, and score the last N of each; 0: side by side")
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
        ->type_name("N");
    app.add_option("--kl-divergence-base,--save-all-logits", options->base_file,
                   "keep the model's distributions in this file, or compare with it")
        ->type_name("FILE");
    app.add_flag("--kl-divergence", options->compare, "compare with the distributions in the base file; its text is used");
    app.add_flag("--json", options->json, "one JSON object and nothing else");
    declare_log_flags(app);
    return [options] { return perplexity(*options); };
}

}  // namespace

const Subcommand perplexity_command{"perplexity", "Measure how well a model expects a text", setup};

}  // namespace quern
