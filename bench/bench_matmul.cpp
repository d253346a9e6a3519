// Speed of the CPU matmul kernels, without an engine around them.
//   bench_matmul [--types q4_k,q8_0] [--tokens 1,512] [--threads N] [--isa avx512] [--few] [--model] [--json]
// One token meets the kernels for few, as an answer does, more of them those for many, as a prompt does; with --few all meet those for few,
// as so many answers at once do.
// Each line: GB/s of weights read and GOP/s, each as a share of what the machine was measured to do. With --model also the time that all
// matrices of a 1.1B llama take (22 layers, 2048 wide, 5632 feed forward, 4 KV heads of 64, 32000 words), in Q4_K_M and Q8_0.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/work_units.h"
#include "base/thread_pool.h"
#include "kernels/cpu_kernels.h"
#include "kernels/matmul/sample_weights_test.h"
#include "machine_peaks.h"
#include "tensor/buffer.h"

namespace {

using namespace quern;
using Clock = std::chrono::steady_clock;

// More than the last-level cache holds, so that one token's weights come from memory.
constexpr uint64_t working_set = 400u << 20;

struct Options {
    std::vector<DType> types{DType::q4_k, DType::q6_k, DType::q8_0, DType::q4_0, DType::f16};
    std::vector<int64_t> tokens{1, 512};
    int n_threads = usable_cores();
    Isa isa = best_isa();
    bool few = false, model = false, json = false;

    MatmulChoice choice(DType dtype, int64_t n_tokens) const {
        return cpu_kernels(isa).matmul(dtype, few || n_tokens == 1 ? TokenKernels::few : TokenKernels::many);
    }
};

struct Matrix {
    DType dtype;
    int64_t n_out, n_in;
};

struct Result {
    double seconds, bytes, ops;
};

/// Copies of a matrix, its activations and its output.
class Bench {
  public:
    Bench(const Matrix& matrix, int64_t n_tokens, const Options& options)
        : matrix_(matrix), n_tokens_(n_tokens), kernels_(cpu_kernels(options.isa)), choice_(options.choice(matrix.dtype, n_tokens)) {
        row_bytes_ = static_cast<int64_t>(row_bytes(matrix.dtype, static_cast<uint64_t>(matrix.n_in)));
        const auto bytes = static_cast<uint64_t>(row_bytes_ * matrix.n_out);
        n_copies_ = static_cast<int64_t>(n_tokens >= 16 ? 1 : std::max<uint64_t>(1, working_set / bytes));
        weights_ = Buffer(bytes * static_cast<uint64_t>(n_copies_), "weights");
        std::mt19937 random(1);
        const int64_t sample_rows = std::min<int64_t>(matrix.n_out, 64);
        const std::vector<std::byte> sample = sample_weights(matrix.dtype, sample_rows * matrix.n_in, random);
        for (uint64_t at = 0; at < weights_.bytes(); at += sample.size())
            std::memcpy(weights_.data() + at, sample.data(), std::min<uint64_t>(sample.size(), weights_.bytes() - at));
        x_bytes_ = activation_row_bytes(choice_.activations, matrix.n_in);
        x_ = Buffer(static_cast<uint64_t>(x_bytes_ * n_tokens), "activations");
        std::vector<float> x(static_cast<size_t>(matrix.n_in));
        std::normal_distribution<float> normal;
        for (int64_t t = 0; t < n_tokens; ++t) {
            for (float& value : x) value = normal(random);
            kernels_.quantize(choice_.activations)(x.data(), x_.data() + t * x_bytes_, matrix.n_in);
        }
        out_ = Buffer(static_cast<uint64_t>(n_tokens * matrix.n_out) * sizeof(float), "output");
    }

    int64_t n_copies() const { return n_copies_; }
    /// Multiplies once, with the given copy of the weights.
    void run(ThreadPool& pool, int64_t copy) {
        const int64_t rows =
            rows_per_unit(matrix_.n_out, row_bytes_, choice_, 1, pool.n_threads());
        pool.for_each((matrix_.n_out + rows - 1) / rows, [&](int64_t block, int) noexcept {
            const int64_t row = block * rows;
            choice_.kernel({.weights = weights_.data() + (copy * matrix_.n_out + row) * row_bytes_,
                            .weight_row_bytes = row_bytes_,
                            .n_rows = std::min(rows, matrix_.n_out - row),
                            .activations = x_.data(),
                            .activation_row_bytes = x_bytes_,
                            .n_tokens = n_tokens_,
                            .n_in = matrix_.n_in,
                            .out = reinterpret_cast<float*>(out_.data()) + row,
                            .out_stride = matrix_.n_out});
        });
    }

    /// The best of some rounds over all copies, for one copy.
    Result measure(ThreadPool& pool, int n_rounds) {
        double best = 1e9;
        for (int round = 0; round < n_rounds; ++round) {
            const auto start = Clock::now();
            for (int64_t copy = 0; copy < n_copies_; ++copy) run(pool, copy);
            best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
        }
        const auto values = static_cast<double>(matrix_.n_out * matrix_.n_in);
        return {best / static_cast<double>(n_copies_), static_cast<double>(row_bytes_ * matrix_.n_out),
                2.0 * values * static_cast<double>(n_tokens_)};
    }

  private:
    Matrix matrix_;
    int64_t n_tokens_;
    const CpuKernels& kernels_;
    MatmulChoice choice_;
    int64_t row_bytes_ = 0, x_bytes_ = 0, n_copies_ = 1;
    Buffer weights_, x_, out_;
};

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> out;
    for (size_t at = 0; at <= list.size();) {
        const size_t comma = std::min(list.find(',', at), list.size());
        out.push_back(list.substr(at, comma - at));
        at = comma + 1;
    }
    return out;
}

bool parse(int argc, char** argv, Options& options) {
    for (int i = 1; i < argc; ++i) {
        const std::string flag = argv[i];
        if (flag == "--model")
            options.model = true;
        else if (flag == "--few")
            options.few = true;
        else if (flag == "--json")
            options.json = true;
        else if (i + 1 >= argc)
            return false;
        else if (flag == "--threads")
            options.n_threads = std::max(1, std::atoi(argv[++i]));
        else if (flag == "--isa")
            options.isa = isa_from_name(argv[++i]).value_or(best_isa());
        else if (flag == "--tokens") {
            options.tokens.clear();
            for (const std::string& n : split(argv[++i])) options.tokens.push_back(std::max(1, std::atoi(n.c_str())));
        } else if (flag == "--types") {
            options.types.clear();
            for (const std::string& name : split(argv[++i])) {
                const auto dtype = dtype_from_name(name);
                if (!dtype || !cpu_kernels(Isa::scalar).matmul(*dtype, TokenKernels::few).kernel) return false;
                options.types.push_back(*dtype);
            }
        } else {
            return false;
        }
    }
    return true;
}

void print(const Options& options, const Matrix& matrix, int64_t n_tokens, const Result& result, const MachinePeaks& peaks) {
    const ActivationFormat activations = options.choice(matrix.dtype, n_tokens).activations;
    const double peak_ops = activations == ActivationFormat::f32    ? peaks.float_ops_per_s
                            : activations == ActivationFormat::bf16 ? peaks.bf16_ops_per_s
                                                                    : peaks.int8_ops_per_s / 2;  // two planes
    const double bandwidth = result.bytes / result.seconds, ops = result.ops / result.seconds;
    const char* const format = options.json
                                   ? "{\"type\": \"%s\", \"n_out\": %ld, \"n_in\": %ld, \"tokens\": %ld, \"ms\": %.4f, \"GB_s\": %.2f, "
                                     "\"read_share\": %.3f, \"GOP_s\": %.1f, \"compute_share\": %.3f}\n"
                                   : "%-5s %5ld x %5ld  tokens %4ld  %8.3f ms  %6.2f GB/s (%.2f of read)  %7.1f GOP/s (%.2f of peak)\n";
    std::printf(format, std::string(dtype_name(matrix.dtype)).c_str(), matrix.n_out, matrix.n_in, n_tokens, result.seconds * 1e3,
                bandwidth / 1e9, peaks.read_bytes_per_s > 0 ? bandwidth / peaks.read_bytes_per_s : 0.0, ops / 1e9,
                peak_ops > 0 ? ops / peak_ops : 0.0);
    std::fflush(stdout);
}

/// All matrices of the model: those of one layer, how often each occurs.
double model_seconds(const Options& options, ThreadPool& pool, bool q8, int64_t n_tokens) {
    struct Part {
        Matrix matrix;
        double count;
    };
    const DType base = q8 ? DType::q8_0 : DType::q4_k, more = q8 ? DType::q8_0 : DType::q6_k;
    const std::vector<Part> parts{{{base, 2048, 2048}, 44}, {{base, 256, 2048}, 33},  {{more, 256, 2048}, 11},
                                  {{base, 5632, 2048}, 44}, {{base, 2048, 5632}, 11}, {{more, 2048, 5632}, 11}};
    double seconds = 0;
    for (const Part& part : parts) seconds += part.count * Bench(part.matrix, n_tokens, options).measure(pool, 3).seconds;
    return seconds + Bench({more, 32000, 2048}, 1, options).measure(pool, 3).seconds;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    if (!parse(argc, argv, options) || options.isa > best_isa()) {
        std::fprintf(stderr,
                     "usage: bench_matmul [--types q4_k,q8_0] [--tokens 1,512] [--threads N] [--isa NAME] [--few] [--model] [--json]\n");
        return 2;
    }
    const MachinePeaks peaks = measure_peaks(options.n_threads, options.isa);
    std::printf(
        options.json
            ? "{\"isa\": \"%s\", \"threads\": %d, \"read_GB_s\": %.2f, \"int8_GOP_s\": %.1f, \"float_GOP_s\": %.1f, \"bf16_GOP_s\": %.1f}\n"
            : "%s, %d threads: read %.2f GB/s, int8 %.1f GOP/s, float %.1f GOP/s, bf16 %.1f GOP/s\n",
        std::string(to_string(options.isa)).c_str(), options.n_threads, peaks.read_bytes_per_s / 1e9, peaks.int8_ops_per_s / 1e9,
        peaks.float_ops_per_s / 1e9, peaks.bf16_ops_per_s / 1e9);
    ThreadPool pool(options.n_threads);
    for (const DType dtype : options.types)
        for (const int64_t n_tokens : options.tokens)
            for (const auto& [n_out, n_in] : {std::pair{2048, 2048}, std::pair{5632, 2048}, std::pair{2048, 5632}}) {
                if (n_in % static_cast<int64_t>(dtype_info(dtype).block_size)) continue;
                const Matrix matrix{dtype, n_out, n_in};
                print(options, matrix, n_tokens, Bench(matrix, n_tokens, options).measure(pool, 4), peaks);
            }
    if (!options.model) return 0;
    for (const bool q8 : {false, true})
        for (const int64_t n_tokens : {int64_t{1}, int64_t{512}}) {
            const double seconds = model_seconds(options, pool, q8, n_tokens);
            std::printf(options.json ? "{\"model\": \"1.1B %s\", \"tokens\": %ld, \"tok_s\": %.2f}\n"
                                     : "1.1B %s, %ld tokens: %.2f tok/s in matmuls\n",
                        q8 ? "Q8_0" : "Q4_K_M", n_tokens, static_cast<double>(n_tokens) / seconds);
        }
    return 0;
}
