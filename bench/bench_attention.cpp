// Attention on one core, for each instruction set: prompts (bound by multiply-adds) and decodes (bound by memory), beside what the core can
// do. Prints one JSON object a line. The roofline share is the larger of GFLOP/s over the core's peak and GB/s over its read speed.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/cpu_features.h"
#include "kernels/activation/activation_cpu.h"
#include "kernels/attention/attention_cpu.h"

using namespace quern;

namespace {

struct Roof {
    double gflops = 0, gbytes = 0;
};

template <typename Work>
double best_seconds(int n_runs, Work&& work) {
    double best = 1e30;
    for (int run = 0; run < n_runs; ++run) {
        const auto start = std::chrono::steady_clock::now();
        work();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

#if defined(__x86_64__)
// Ten chains of multiply-adds, as many as two units with a latency of five have in flight. Each starts elsewhere, or the compiler makes
// one of them.
__attribute__((target("avx2,fma"))) float multiply_add_chains(int n_rounds) {
    __m256 a = _mm256_set1_ps(1), b = _mm256_set1_ps(2), c = _mm256_set1_ps(3), d = _mm256_set1_ps(4), e = _mm256_set1_ps(5),
           f = _mm256_set1_ps(6), g = _mm256_set1_ps(7), h = _mm256_set1_ps(8), i = _mm256_set1_ps(9), j = _mm256_set1_ps(10);
    const __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
    for (int round = 0; round < n_rounds; ++round) {
        a = _mm256_fmadd_ps(a, x, y), b = _mm256_fmadd_ps(b, x, y), c = _mm256_fmadd_ps(c, x, y), d = _mm256_fmadd_ps(d, x, y);
        e = _mm256_fmadd_ps(e, x, y), f = _mm256_fmadd_ps(f, x, y), g = _mm256_fmadd_ps(g, x, y), h = _mm256_fmadd_ps(h, x, y);
        i = _mm256_fmadd_ps(i, x, y), j = _mm256_fmadd_ps(j, x, y);
    }
    return _mm256_cvtss_f32(_mm256_add_ps(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d)),
                                          _mm256_add_ps(_mm256_add_ps(e, f), _mm256_add_ps(_mm256_add_ps(g, h), _mm256_add_ps(i, j)))));
}

__attribute__((target("avx512f"))) float wide_multiply_add_chains(int n_rounds) {
    __m512 a = _mm512_set1_ps(1), b = _mm512_set1_ps(2), c = _mm512_set1_ps(3), d = _mm512_set1_ps(4), e = _mm512_set1_ps(5),
           f = _mm512_set1_ps(6), g = _mm512_set1_ps(7), h = _mm512_set1_ps(8), i = _mm512_set1_ps(9), j = _mm512_set1_ps(10);
    const __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
    for (int round = 0; round < n_rounds; ++round) {
        a = _mm512_fmadd_ps(a, x, y), b = _mm512_fmadd_ps(b, x, y), c = _mm512_fmadd_ps(c, x, y), d = _mm512_fmadd_ps(d, x, y);
        e = _mm512_fmadd_ps(e, x, y), f = _mm512_fmadd_ps(f, x, y), g = _mm512_fmadd_ps(g, x, y), h = _mm512_fmadd_ps(h, x, y);
        i = _mm512_fmadd_ps(i, x, y), j = _mm512_fmadd_ps(j, x, y);
    }
    return _mm512_cvtss_f32(_mm512_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)),
                                          _mm512_add_ps(_mm512_add_ps(e, f), _mm512_add_ps(_mm512_add_ps(g, h), _mm512_add_ps(i, j)))));
}

__attribute__((target("avx2"))) int64_t read_through(const std::vector<uint64_t>& memory) {
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i + 16 <= memory.size(); i += 16) {
        const auto* p = reinterpret_cast<const __m256i*>(memory.data() + i);
        a = _mm256_add_epi64(a, _mm256_loadu_si256(p)), b = _mm256_add_epi64(b, _mm256_loadu_si256(p + 1));
        c = _mm256_add_epi64(c, _mm256_loadu_si256(p + 2)), d = _mm256_add_epi64(d, _mm256_loadu_si256(p + 3));
    }
    return _mm256_extract_epi64(_mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d)), 0);
}

Roof measure_roof(Isa isa) {
    volatile float keep_float;
    volatile int64_t keep;
    constexpr int n_rounds = 2'000'000;
    Roof roof;
    if (isa >= Isa::avx2) roof.gflops = n_rounds * 10 * 16 / best_seconds(7, [&] { keep_float = multiply_add_chains(n_rounds); }) * 1e-9;
    if (isa >= Isa::avx512)
        roof.gflops =
            std::max(roof.gflops, n_rounds * 10 * 32 / best_seconds(7, [&] { keep_float = wide_multiply_add_chains(n_rounds); }) * 1e-9);
    const std::vector<uint64_t> memory(size_t{32} << 20, 1);
    if (best_isa() >= Isa::avx2)
        roof.gbytes = static_cast<double>(memory.size() * 8) / best_seconds(5, [&] { keep = read_through(memory); }) * 1e-9;
    return roof;
}
#else
Roof measure_roof(Isa) { return {}; }
#endif

struct Scene {
    int head_dim, group;
    int64_t n_tokens, first_position;
};

// The caches of one layer with four KV heads, in shuffled pages.
class Bench {
  public:
    explicit Bench(const Scene& scene) : scene_(scene), n_heads_(scene.group * n_kv_heads) {
        const int64_t n_pages = (scene.first_position + scene.n_tokens + kv_page_tokens - 1) / kv_page_tokens;
        std::mt19937 random(1);
        table_.resize(static_cast<size_t>(n_pages));
        std::iota(table_.begin(), table_.end(), 0);
        std::shuffle(table_.begin(), table_.end(), random);
        keys_.resize(static_cast<size_t>(n_pages * page_stride()));
        for (uint16_t& each : keys_) each = static_cast<uint16_t>(0x3000 | (random() & 0x8bff));  // +-0.125 to +-0.25
        values_ = keys_;
        q_.assign(static_cast<size_t>(scene.n_tokens * n_heads_ * scene.head_dim), 0.5f);
        out_ = q_;
    }

    double seconds(AttentionKernel kernel) {
        return best_seconds(scene_.n_tokens == 1 ? 15 : 7, [&] {
            for (int kv_head = 0; kv_head < n_kv_heads; ++kv_head) kernel(task(kv_head));
        });
    }
    double gflop() const {
        const double n_seen = static_cast<double>(scene_.first_position) + 0.5 * static_cast<double>(scene_.n_tokens + 1);
        return 4e-9 * static_cast<double>(scene_.n_tokens * n_heads_ * scene_.head_dim) * n_seen;
    }
    double gbyte() const { return 4e-9 * static_cast<double>((scene_.first_position + scene_.n_tokens) * n_kv_heads * scene_.head_dim); }

  private:
    static constexpr int n_kv_heads = 4;

    int64_t page_stride() const { return n_kv_heads * kv_page_tokens * scene_.head_dim; }
    AttentionTask task(int kv_head) {
        const int64_t stride = static_cast<int64_t>(n_heads_) * scene_.head_dim;
        return {.q = q_.data(),
                .q_stride = stride,
                .n_tokens = scene_.n_tokens,
                .first_position = scene_.first_position,
                .keys = {reinterpret_cast<std::byte*>(keys_.data()), page_stride()},
                .values = {reinterpret_cast<std::byte*>(values_.data()), page_stride()},
                .page_table = table_.data(),
                .kv_begin = 0,
                .kv_end = scene_.first_position + scene_.n_tokens,
                .n_heads = n_heads_,
                .n_kv_heads = n_kv_heads,
                .head_dim = scene_.head_dim,
                .kv_head = kv_head,
                .scale = 0.1f,
                .scoring = scene_.n_tokens == 1 ? KeyScoring::direct : KeyScoring::transposed,
                .out = out_.data(),
                .out_stride = stride};
    }

    Scene scene_;
    int n_heads_;
    std::vector<int32_t> table_;
    std::vector<uint16_t> keys_, values_;
    std::vector<float> q_, out_;
};

void run_all(Isa isa, AttentionKernel kernel) {
    const Roof roof = measure_roof(isa);
    for (const int head_dim : {64, 128})
        for (const int group : {1, 4, 7, 8})
            for (const auto& [n_tokens, first_position] : {std::pair<int64_t, int64_t>{1, 32767}, {16, 2048}, {512, 0}}) {
                Bench bench({head_dim, group, n_tokens, first_position});
                const double seconds = bench.seconds(kernel), gflops = bench.gflop() / seconds, gbytes = bench.gbyte() / seconds;
                const double share = roof.gflops == 0 ? 0 : std::max(gflops / roof.gflops, gbytes / roof.gbytes);
                std::printf(
                    "{\"isa\": \"%s\", \"head_dim\": %d, \"group\": %d, \"n_tokens\": %d, \"n_past\": %d, \"ms\": %.3f, \"gflop_per_s\": "
                    "%.1f, "
                    "\"peak_gflop_per_s\": %.1f, \"gbyte_per_s\": %.2f, \"peak_gbyte_per_s\": %.1f, \"roofline_share\": %.2f}\n",
                    std::string(to_string(isa)).c_str(), head_dim, group, static_cast<int>(n_tokens), static_cast<int>(first_position),
                    seconds * 1e3, gflops, roof.gflops, gbytes, roof.gbytes, share);
            }
}

}  // namespace

int main() {
    if (best_isa() >= Isa::avx512) run_all(Isa::avx512, avx512::attention);
    if (best_isa() >= Isa::avx2) run_all(Isa::avx2, avx2::attention);
    run_all(Isa::scalar, scalar::attention);
}
