// Counts what a sampler allocates: after its first tokens, nothing.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "sampling/chain.h"

namespace {

std::atomic<int64_t> n_allocations{0};

}  // namespace

void* operator new(size_t n_bytes) {
    ++n_allocations;
    if (void* memory = std::malloc(n_bytes == 0 ? 1 : n_bytes)) return memory;
    throw std::bad_alloc();
}
void* operator new(size_t n_bytes, const std::nothrow_t&) noexcept {
    ++n_allocations;
    return std::malloc(n_bytes == 0 ? 1 : n_bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

using namespace quern;

TEST_CASE("a sampler takes no memory for a token after the first ones") {
    std::vector<float> logits(20'000);
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i * 7919 % 20'011) * 1e-3f;
    for (const SamplingParams& params :
         {SamplingParams{.seed = 1}, SamplingParams{.top_k = 40, .top_p = 0.9f, .min_p = 0.01f, .seed = 1},
          SamplingParams{.temperature = 0.5f, .top_p = 0.9f, .repeat_penalty = 1.1f, .repeat_last_n = 8, .seed = 1}}) {
        Sampler sampler(params, {});
        for (int32_t i = 0; i < 20; ++i) sampler.accept({i}), sampler.sample(logits);
        const int64_t before = n_allocations;
        for (int32_t i = 20; i < 200; ++i) {
            sampler.accept({i});
            sampler.sample(logits);
        }
        CHECK(n_allocations == before);
    }
}
