#include "machine_peaks.h"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/thread_pool.h"
#include "tensor/buffer.h"

namespace quern {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int n_tries = 5;
constexpr int n_chains = 12;  // enough independent sums to hide a latency of 5 cycles on two ports

// Results end up here so that no loop is optimised away; one slot per thread.
struct Sink {
    alignas(64) int64_t value;
};

[[gnu::target("avx2")]] int64_t read_all(const std::byte* p, uint64_t n) {
    __m256i sum[4] = {};
    for (uint64_t at = 0; at < n; at += 256)
#pragma GCC unroll 8
        for (int k = 0; k < 8; ++k) {
            if (k % 2 == 0) _mm_prefetch(reinterpret_cast<const char*>(p + at + 4096 + k * 32), _MM_HINT_T0);
            sum[k % 4] = _mm256_add_epi64(sum[k % 4], _mm256_load_si256(reinterpret_cast<const __m256i*>(p + at + k * 32)));
        }
    int64_t lanes[4];
    std::memcpy(lanes, &sum[0], sizeof lanes);
    const __m256i rest = _mm256_add_epi64(_mm256_add_epi64(sum[1], sum[2]), sum[3]);
    int64_t more[4];
    std::memcpy(more, &rest, sizeof more);
    return lanes[0] + lanes[1] + lanes[2] + lanes[3] + more[0] + more[1] + more[2] + more[3];
}

#define QUERN_CHAINS(STEP) STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7) STEP(8) STEP(9) STEP(10) STEP(11)

[[gnu::target("avx512f,avx512vnni")]] int64_t vnni_loop(int64_t n) {
    __m512i sum[n_chains];
    for (int k = 0; k < n_chains; ++k) sum[k] = _mm512_set1_epi32(k);  // equal chains would be computed once
    __m512i u = _mm512_set1_epi8(3), s = _mm512_set1_epi8(5);
    for (int64_t i = 0; i < n; ++i) {
#define QUERN_STEP(k) sum[k] = _mm512_dpbusd_epi32(sum[k], u, s);
        QUERN_CHAINS(QUERN_STEP)
#undef QUERN_STEP
        __asm__ volatile("" : "+v"(u), "+v"(s));
    }
    for (const __m512i& chain : sum) u = _mm512_add_epi32(u, chain);
    return _mm512_cvtsi512_si32(u);
}

[[gnu::target("avx512f,avx512bf16")]] int64_t bf16_loop(int64_t n) {
    __m512 sum[n_chains];
    for (int k = 0; k < n_chains; ++k) sum[k] = _mm512_set1_ps(static_cast<float>(k));
    __m512i a = _mm512_set1_epi16(0x3f00), b = _mm512_set1_epi16(0x3e80);  // 0.5 and 0.25
    for (int64_t i = 0; i < n; ++i) {
#define QUERN_STEP(k) sum[k] = _mm512_dpbf16_ps(sum[k], reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
        QUERN_CHAINS(QUERN_STEP)
#undef QUERN_STEP
        __asm__ volatile("" : "+v"(a), "+v"(b));
    }
    __m512 total = sum[0];
    for (int k = 1; k < n_chains; ++k) total = _mm512_add_ps(total, sum[k]);
    return static_cast<int64_t>(_mm512_cvtss_f32(total));
}

[[gnu::target("avx2")]] int64_t maddubs_loop(int64_t n) {
    __m256i sum[n_chains];
    for (int k = 0; k < n_chains; ++k) sum[k] = _mm256_set1_epi32(k);
    __m256i u = _mm256_set1_epi8(3), s = _mm256_set1_epi8(5);
    const __m256i ones = _mm256_set1_epi16(1);
    for (int64_t i = 0; i < n; ++i) {
#define QUERN_STEP(k) sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(_mm256_maddubs_epi16(u, s), ones));
        QUERN_CHAINS(QUERN_STEP)
#undef QUERN_STEP
        __asm__ volatile("" : "+x"(u), "+x"(s));
    }
    for (const __m256i& chain : sum) u = _mm256_add_epi32(u, chain);
    return _mm_cvtsi128_si32(_mm256_castsi256_si128(u));
}

[[gnu::target("avx512f")]] int64_t fma512_loop(int64_t n) {
    __m512 sum[n_chains];
    for (int k = 0; k < n_chains; ++k) sum[k] = _mm512_set1_ps(static_cast<float>(k));
    __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
    for (int64_t i = 0; i < n; ++i) {
#define QUERN_STEP(k) sum[k] = _mm512_fmadd_ps(a, b, sum[k]);
        QUERN_CHAINS(QUERN_STEP)
#undef QUERN_STEP
        __asm__ volatile("" : "+v"(a), "+v"(b));
    }
    for (const __m512& chain : sum) a = _mm512_add_ps(a, chain);
    return static_cast<int64_t>(_mm512_cvtss_f32(a));
}

[[gnu::target("avx2,fma")]] int64_t fma256_loop(int64_t n) {
    __m256 sum[n_chains];
    for (int k = 0; k < n_chains; ++k) sum[k] = _mm256_set1_ps(static_cast<float>(k));
    __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
    for (int64_t i = 0; i < n; ++i) {
#define QUERN_STEP(k) sum[k] = _mm256_fmadd_ps(a, b, sum[k]);
        QUERN_CHAINS(QUERN_STEP)
#undef QUERN_STEP
        __asm__ volatile("" : "+x"(a), "+x"(b));
    }
    for (const __m256& chain : sum) a = _mm256_add_ps(a, chain);
    return static_cast<int64_t>(_mm256_cvtss_f32(a));
}

// The fastest of a few runs on all threads, in seconds.
template <typename Work>
double best_seconds(ThreadPool& pool, Work&& work) {
    double best = 1e9;
    for (int i = 0; i < n_tries; ++i) {
        const auto start = Clock::now();
        pool.run(work);
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return best;
}

}  // namespace

MachinePeaks measure_peaks(int n_threads, Isa isa) {
    MachinePeaks peaks;
    if (isa == Isa::scalar) return peaks;
    ThreadPool pool(n_threads);
    std::vector<Sink> sinks(static_cast<size_t>(n_threads));
    constexpr uint64_t bytes_each = 256u << 20;
    const Buffer memory(bytes_each * static_cast<uint64_t>(n_threads), "measuring memory");
    std::memset(memory.data(), 1, memory.bytes());
    const double all_bytes = static_cast<double>(memory.bytes());
    peaks.read_bytes_per_s = all_bytes / best_seconds(pool, [&](int thread) noexcept {
                                 sinks[static_cast<size_t>(thread)].value +=
                                     read_all(memory.data() + static_cast<uint64_t>(thread) * bytes_each, bytes_each);
                             });
    constexpr int64_t n = 10'000'000;
    const bool wide = isa == Isa::avx512;
    const double steps = static_cast<double>(n) * n_chains * n_threads;
    peaks.int8_ops_per_s = steps * (wide ? 128 : 64) / best_seconds(pool, [&](int thread) noexcept {
                               sinks[static_cast<size_t>(thread)].value += wide ? vnni_loop(n) : maddubs_loop(n);
                           });
    peaks.float_ops_per_s = steps * (wide ? 32 : 16) / best_seconds(pool, [&](int thread) noexcept {
                                sinks[static_cast<size_t>(thread)].value += wide ? fma512_loop(n) : fma256_loop(n);
                            });
    peaks.bf16_ops_per_s = peaks.float_ops_per_s;
    if (wide && has_avx512_bf16())
        peaks.bf16_ops_per_s =
            steps * 64 / best_seconds(pool, [&](int thread) noexcept { sinks[static_cast<size_t>(thread)].value += bf16_loop(n); });
    return peaks;
}

}  // namespace quern
