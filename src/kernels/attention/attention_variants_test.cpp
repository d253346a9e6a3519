// Attention over caches of every type, with windows, soft caps and sinks, and in both directions.
#include "kernels/attention/attention_sample_test.h"

using namespace quern;

TEST_CASE("caches of every type are read as exactly as one in f16") {
    for (const KvType key_type : {KvType::f32, KvType::f16, KvType::q8_0, KvType::q4_0})
        for (const KvType value_type : {KvType::f32, KvType::f16, KvType::q8_0, KvType::q4_0})
            for (const int head_dim : {32, 64, 96, 128})
                for (const int group : {1, 3, 8}) {
                    CAPTURE(head_dim);
                    CAPTURE(group);
                    check_cache_types({.head_dim = head_dim, .group = group, .n_tokens = 1, .first_position = 150}, key_type, value_type);
                    check_cache_types({.head_dim = head_dim, .group = group, .n_tokens = 20, .first_position = 55}, key_type, value_type);
                }
}

TEST_CASE("heads that are no multiple of a vector are read from f32 as from f16") {
    for (const int head_dim : {8, 80})
        check_cache_types({.head_dim = head_dim, .group = 3, .first_position = 150}, KvType::f32, KvType::f32);
}

TEST_CASE("values in blocks are within half a level of the originals, and hostile ones stay harmless") {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    for (const KvType type : {KvType::q8_0, KvType::q4_0}) {
        std::vector<float> x(320);
        for (float& each : x) each = normal(random);
        x[40] = 30.0f;  // an outlier spoils its own block only
        std::fill(x.begin() + 64, x.begin() + 96, 0.0f);
        Bytes bytes = rewritten(x, type);
        for (size_t block = 0; block < 10; ++block) {
            float decoded[32], largest = 0;
            if (type == KvType::q8_0)
                Q8_0::decode(reinterpret_cast<const Q8_0::Block*>(bytes.data())[block], decoded);
            else
                Q4_0::decode(reinterpret_cast<const Q4_0::Block*>(bytes.data())[block], decoded);
            for (size_t i = 0; i < 32; ++i) largest = std::max(largest, std::abs(x[32 * block + i]));
            // q4_0 has no level +8: what is as large as the extreme value but of the other sign is off by a whole level.
            const float tolerance = largest * (type == KvType::q8_0 ? 0.501f / 127 + 1e-3f : 1.0f / 8 + 1e-3f);
            for (size_t i = 0; i < 32; ++i) CHECK(std::abs(decoded[i] - x[32 * block + i]) <= tolerance);
        }
        for (const float bad : {std::nanf(""), infinity, -infinity, 3e38f, 1e-44f}) {
            std::vector<float> hostile(32, 1.0f);
            hostile[7] = bad;
            rewritten(hostile, type);
        }
    }
}

TEST_CASE("a window hides what lies before it, wherever its edge falls in a page") {
    for (const int64_t window : {1, 3, 16, 63, 64, 65, 100, 1000})
        for (const int64_t n_tokens : {1, 20, 130}) {
            CAPTURE(window);
            CAPTURE(n_tokens);
            const auto change = [&](AttentionTask& task) { task.window = window; };
            check_range({.head_dim = 64, .group = 3, .n_tokens = n_tokens, .first_position = 70}, 0, 70 + n_tokens, change);
            check_range({.head_dim = 80, .n_tokens = n_tokens, .first_position = 0}, 0, n_tokens, change);
        }
}

TEST_CASE("positions before a window are not read") {
    Sequence sequence({.head_dim = 64, .group = 2, .n_tokens = 1, .first_position = 200});
    for (int64_t position = 0; position < 191; ++position) *sequence.key_at(position, 0) = f16_nan;
    for (const Kernels& kernels : kernels_of_this_machine()) {
        std::vector<float> out;
        AttentionTask task = sequence.task(0, out);
        task.window = 10;
        kernels.attention(task);
        for (size_t i = 0; i < 128; ++i) CHECK(std::isfinite(out[i]));
    }
}

TEST_CASE("soft caps, sinks and attention in both directions are those of the reference") {
    const std::vector<float> sinks{0.5f, -1.0f, 3.0f, 0.0f, 40.0f, -40.0f, 2.0f, 1.0f};
    for (const int group : {1, 4})
        for (const int64_t n_tokens : {1, 40}) {
            const Sizes sizes{.head_dim = 64, .group = group, .n_tokens = n_tokens, .first_position = 90};
            check_range(sizes, 0, 90 + n_tokens, [](AttentionTask& task) { task.softcap = 0.7f; });
            check_range(sizes, 0, 90 + n_tokens, [&](AttentionTask& task) { task.sinks = sinks.data(), task.window = 20; });
            check_range(sizes, 0, 90 + n_tokens, [](AttentionTask& task) { task.causal = false; });
            check_range(sizes, 100, 100, [&](AttentionTask& task) { task.sinks = sinks.data(); });
        }
    for (const int n_splits : {2, 7})
        check_split({.head_dim = 64, .group = 4, .n_tokens = 3, .first_position = 300}, n_splits, sinks.data());
}
