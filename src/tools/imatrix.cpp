// quern imatrix: what a model's matrices see when it reads a text, so that quantizing can spare what matters.
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/printable.h"
#include "convert/imatrix_file.h"
#include "engine/engine.h"
#include "gguf/output_file.h"
#include "tools/command_line.h"
#include "tools/engine_flags.h"
#include "tools/environment.h"
#include "tools/imatrix/collector.h"
#include "tools/imatrix/statistics.h"
#include "tools/perplexity/report.h"
#include "tools/perplexity/token_score.h"
#include "tools/perplexity/windows.h"
#include "tools/progress_line.h"
#include "tools/run/interrupt.h"
#include "tools/text_file.h"

namespace quern {
namespace {

struct ImatrixOptions {
    EngineOptions engine{.n_ctx = 512};
    std::string text_file, text, out_file = "imatrix.gguf", format;
    std::vector<std::string> in_files;
    int64_t n_chunks = 0, first_chunk = 0, save_frequency = 0, output_frequency = 10;
    bool process_output = false, no_ppl = false, parse_special = false, show_statistics = false, no_resume = false;

    ImatrixFormat output_format() const {
        if (!format.empty()) return format == "dat" ? ImatrixFormat::dat : ImatrixFormat::gguf;
        return out_file.ends_with(".dat") ? ImatrixFormat::dat : ImatrixFormat::gguf;
    }
};

/// The files that are given, added up.
Imatrix read_in_files(const ImatrixOptions& options) {
    Imatrix sum{.chunk_size = options.engine.n_ctx};
    for (const std::string& path : options.in_files) {
        Imatrix each = read_imatrix(path, options.engine.n_ctx).imatrix;
        if (&path == &options.in_files.front()) sum.chunk_size = each.chunk_size;
        sum.add(each);
    }
    return sum;
}

/// FNV-1a over the tokens: enough to know a text again.
uint64_t hash_of(std::span<const TokenId> tokens) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const TokenId token : tokens)
        for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ ((static_cast<uint32_t>(token.value) >> shift) & 0xff)) * 0x100000001b3;
    return hash;
}

/// A run over a text: where it is, what it found, and its file.
class ImatrixRun {
  public:
    ImatrixRun(const ImatrixOptions& options, Engine& engine)
        : options_(options),
          engine_(engine),
          text_(read_tokens()),
          windows_(cut_windows(static_cast<int64_t>(text_.size()), options.engine.n_ctx, 0, options.n_chunks)),
          collector_(engine.info().n_threads, options.process_output) {
        saved_.imatrix = read_in_files(options);
        saved_.imatrix.chunk_size = windows_.n_ctx;
        if (std::find(saved_.imatrix.datasets.begin(), saved_.imatrix.datasets.end(), options.text_file) == saved_.imatrix.datasets.end())
            saved_.imatrix.datasets.push_back(options.text_file);
        saved_.progress = ImatrixProgress{.run = describe()};
        const OutputFile probe(options.out_file);  // says now, and not after hours, when the file cannot be
        if (!options.no_resume) go_on_from_file();
    }

    int operator()() {
        engine_.observe_inputs([this](const MatmulInput& input) { collector_.add(input); });
        const InterruptGuard guard;
        ProgressLine line;
        const int64_t first = saved_.progress->n_chunks_done;
        int64_t& done = saved_.progress->n_chunks_done;
        int64_t n_unsaved = 0;
        while (done < windows_.n_windows && !guard.requested()) {
            read_window(done);
            saved_.imatrix.add(collector_.take());
            ++done;
            ++n_unsaved;
            const auto share = static_cast<double>(done - first) / static_cast<double>(windows_.n_windows - first);
            const auto rate = static_cast<double>((done - first) * windows_.n_ctx) / std::max(line.seconds(), 1e-3);
            line.show(share, concat("chunk ", done, " of ", windows_.n_windows, ", ", static_cast<int64_t>(rate), " tokens/s"));
            if (done == windows_.n_windows) break;
            if (options_.output_frequency > 0 && done % options_.output_frequency == 0) save(options_.out_file), n_unsaved = 0;
            if (options_.save_frequency > 0 && done % options_.save_frequency == 0) save(concat(options_.out_file, ".at_", done));
        }
        if (!options_.no_ppl) std::printf("\n");
        if (done < windows_.n_windows) return stop(n_unsaved);
        finish(line.seconds(), done - first);
        return 0;
    }

  private:
    std::vector<TokenId> read_tokens() const {
        std::vector<TokenId> tokens =
            engine_.tokenizer().tokenize(options_.text, {.add_special = true, .parse_special = options_.parse_special});
        const auto n_skipped = static_cast<size_t>(options_.first_chunk * options_.engine.n_ctx);
        if (n_skipped >= tokens.size())
            throw InvalidInput(concat("--chunk ", options_.first_chunk, " skips the whole text, which has ", tokens.size(), " tokens"),
                               "chunk");
        tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n_skipped));
        return tokens;
    }

    std::string describe() const {
        const ModelInfo& info = engine_.info();
        std::string run = concat(info.name, " ", info.file_bytes, " bytes; text ", std::hex, hash_of(text_), std::dec, "; ", windows_.n_ctx,
                                 " tokens a chunk", options_.process_output ? "; with the output" : "");
        for (const std::string& path : options_.in_files) run += concat("; and ", path);
        return run;
    }

    void go_on_from_file() {
        std::error_code error;
        if (options_.output_format() != ImatrixFormat::gguf || !std::filesystem::exists(options_.out_file, error)) return;
        try {
            ImatrixFile before = read_imatrix(options_.out_file);
            if (!before.progress || before.progress->run != saved_.progress->run) return;
            saved_ = std::move(before);
            std::fprintf(stderr, "going on after chunk %lld, from %s (--no-resume: begin anew)\n",
                         static_cast<long long>(saved_.progress->n_chunks_done), printable(options_.out_file).c_str());
        } catch (const ModelError&) {  // some other file, which this run replaces
        }
    }

    void read_window(int64_t window) {
        const Tokenizer& tokenizer = engine_.tokenizer();
        const std::optional<TokenId> begin = tokenizer.adds_bos() ? tokenizer.vocabulary().bos : std::nullopt;
        const auto n_vocab = static_cast<size_t>(engine_.info().n_vocab);
        const int64_t first_scored = options_.no_ppl ? windows_.n_ctx - 1 : windows_.first_scored;
        const auto score = [&](int64_t first_position, std::span<const float> logits) {
            for (size_t i = 0; i * n_vocab < logits.size(); ++i) {
                const int64_t position = first_position + static_cast<int64_t>(i);
                if (position < first_scored || position >= windows_.n_ctx - 1) continue;
                const TokenId actual = text_[static_cast<size_t>(window * windows_.stride + position + 1)];
                nll_.add(negative_log_likelihood(logits.subspan(i * n_vocab, n_vocab), actual));
            }
        };
        engine_.evaluate(window_tokens(text_, windows_, window, begin), options_.process_output ? 0 : first_scored, score);
        if (options_.no_ppl) return;
        std::printf("[%lld]%.4f,", static_cast<long long>(window + 1), std::exp(nll_.mean()));
        std::fflush(stdout);
    }

    void save(const std::string& path) const { write_imatrix(saved_, path, options_.output_format()); }

    int stop(int64_t n_unsaved) const {
        if (n_unsaved > 0 && !saved_.imatrix.entries.empty()) save(options_.out_file);
        const bool resumes = options_.output_format() == ImatrixFormat::gguf;
        std::fprintf(stderr, "interrupted: %s holds %lld of %lld chunks%s\n", printable(options_.out_file).c_str(),
                     static_cast<long long>(saved_.progress->n_chunks_done), static_cast<long long>(windows_.n_windows),
                     resumes ? "; the same command goes on from there" : "");
        return 128 + SIGINT;
    }

    void finish(double seconds, int64_t n_read) {
        const int64_t n_chunks = saved_.progress->n_chunks_done;
        saved_.progress.reset();
        save(options_.out_file);
        if (!options_.no_ppl && nll_.n() > 0) {
            const Perplexity found = perplexity_of(nll_);
            std::printf("Final estimate: PPL = %.4f +/- %.5f\n", found.value, found.error);
        }
        std::printf("%s: %zu tensors, %lld chunks of %lld tokens in %.1f s (%.0f tokens/s)\n", printable(options_.out_file).c_str(),
                    saved_.imatrix.entries.size(), static_cast<long long>(n_chunks), static_cast<long long>(windows_.n_ctx), seconds,
                    static_cast<double>(n_read * windows_.n_ctx) / std::max(seconds, 1e-3));
    }

    const ImatrixOptions& options_;
    Engine& engine_;
    std::vector<TokenId> text_;
    TextWindows windows_;
    ImatrixCollector collector_;
    ImatrixFile saved_;
    RunningMean nll_;
};

int combine(const ImatrixOptions& options) {
    const Imatrix sum = read_in_files(options);
    if (options.show_statistics) {
        std::fputs(imatrix_statistics(sum).c_str(), stdout);
        return 0;
    }
    write_imatrix({.imatrix = sum}, options.out_file, options.output_format());
    std::printf("%s: %zu tensors, %lld chunks, from %zu files\n", printable(options.out_file).c_str(), sum.entries.size(),
                static_cast<long long>(sum.n_chunks()), options.in_files.size());
    return 0;
}

int imatrix(ImatrixOptions& options) {
    if (options.engine.n_ctx == 0) options.engine.n_ctx = 512;
    if (options.show_statistics && options.in_files.empty())
        throw InvalidInput("--show-statistics needs a matrix: --in-file FILE", "in-file");
    if (options.show_statistics || (options.text_file.empty() && !options.in_files.empty())) return combine(options);
    if (options.text_file.empty()) throw InvalidInput("a text is needed: -f FILE (or --in-file FILE, to join matrices)", "file");
    if (options.engine.model_path.empty()) throw InvalidInput("a model is needed: -m FILE", "model");
    options.text = read_text_file(options.text_file);
    options.engine.isa = isa_from_environment();
    options.engine.n_sequences = 1;
    options.engine.n_outputs = options.no_ppl && !options.process_output ? 1 : options.engine.n_batch;
    const std::unique_ptr<Engine> engine = Engine::load(options.engine);
    const int status = ImatrixRun(options, *engine)();
    if (std::fflush(stdout) != 0) throw DeviceError("cannot write to standard output");
    return status;
}

Command setup(CLI::App& app) {
    const auto options = std::make_shared<ImatrixOptions>();
    declare_engine_flags(app, options->engine);
    app.get_option("--model")->required(false);
    app.get_option("--ctx-size")->description("tokens in a chunk; 0: 512")->default_str("512");
    const auto chunk_count = CLI::Range(int64_t{-1}, int64_t{1} << 30);
    app.add_option("-f,--file", options->text_file, "the text to read")->type_name("FILE");
    app.add_option("-o,--output-file,--output", options->out_file, "the matrix's file")->capture_default_str()->type_name("FILE");
    app.add_option("--output-format", options->format, "gguf or dat; by default dat for FILE.dat, else gguf")
        ->check(CLI::IsMember({"gguf", "dat"}))
        ->type_name("FORMAT");
    app.add_option("--chunks", options->n_chunks, "most chunks; 0 or -1: all of the text")->check(chunk_count)->type_name("N");
    app.add_option("--chunk,--from-chunk", options->first_chunk, "leave out the first N chunks of the text")
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
        ->type_name("N");
    app.add_option("--output-frequency", options->output_frequency, "-ofreq: save every N chunks; 0: at the end only")
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
        ->capture_default_str()
        ->type_name("N");
    app.add_option("--save-frequency", options->save_frequency, "keep a copy FILE.at_N every N chunks; 0: none")
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
        ->type_name("N");
    app.add_flag("--process-output", options->process_output, "also the matrix that makes the logits");
    app.add_flag("--no-ppl", options->no_ppl, "no perplexity: faster");
    app.add_flag("--parse-special", options->parse_special, "control tokens written in the text become tokens");
    app.add_option("--in-file", options->in_files, "a matrix to add to the result; may be repeated. Without a text: join these")
        ->type_name("FILE")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    app.add_flag("--show-statistics", options->show_statistics, "print a table of the matrices in --in-file");
    app.add_flag("--no-resume", options->no_resume, "begin anew where the output file is that of an interrupted run");
    declare_log_flags(app);
    return [options] { return imatrix(*options); };
}

}  // namespace

const Subcommand imatrix_command{"imatrix", "Measure which weights of a model matter", setup};

}  // namespace quern
