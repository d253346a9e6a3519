// Attention and its merging against the reference in double: shapes, pages, ranges and masks.
#include "kernels/attention/attention_sample_test.h"

using namespace quern;

TEST_CASE("attention is within 5e-6 of the reference for every head size and group") {
    for (const int head_dim : {8, 16, 48, 64, 80, 96, 128, 256, 512, 576})
        for (const int group : {1, 2, 3, 4, 7, 8}) {
            CAPTURE(head_dim);
            CAPTURE(group);
            check_range({.head_dim = head_dim, .group = group, .first_position = 200}, 0, 201);
            check_range({.head_dim = head_dim, .group = group, .n_tokens = 19, .first_position = 60}, 0, 79);
        }
}

TEST_CASE("a prompt attends causally, whatever its length") {
    for (const int64_t n_tokens : {1, 2, 5, 15, 16, 63, 64, 65, 130}) check_range({.group = 3, .n_tokens = n_tokens}, 0, n_tokens);
    check_range({.head_dim = 128, .group = 8, .n_tokens = 100, .first_position = 31}, 0, 131);
}

TEST_CASE("a range of the cache may begin and end within pages, and after what tokens see") {
    const Sizes sizes{.head_dim = 80, .group = 2, .n_tokens = 10, .first_position = 150};
    for (const auto& [begin, end] : std::vector<std::pair<int64_t, int64_t>>{
             {0, 0}, {0, 1}, {63, 64}, {64, 65}, {30, 100}, {128, 155}, {150, 160}, {155, 160}, {155, 1000}, {200, 250}})
        check_range(sizes, begin, end);
}

TEST_CASE("shares of the cache merge into the whole, also when some saw nothing") {
    for (const int group : {1, 4})
        for (const int n_splits : {1, 2, 3, 7, 16}) {
            check_split({.head_dim = 64, .group = group, .n_tokens = 1, .first_position = 300}, n_splits);
            check_split({.head_dim = 48, .group = group, .n_tokens = 16, .first_position = 3}, n_splits);
        }
}

TEST_CASE("a row that sees nothing gives a maximum of minus infinity, no weight and a zero sum") {
    Sequence sequence({.head_dim = 64, .group = 2, .n_tokens = 3, .first_position = 10});
    for (const Kernels& kernels : kernels_of_this_machine()) {
        std::vector<float> out, partials(3 * 4 * 2, 9.0f);
        AttentionTask task = sequence.task(1, out);
        task.kv_begin = 12;  // only the last token sees it
        task.partial = partials.data();
        kernels.attention(task);
        for (const size_t row : {2u, 3u, 6u, 7u}) {
            CHECK(partials[row * 2] == -infinity);
            CHECK(partials[row * 2 + 1] == 0.0f);
        }
        CHECK(partials[10 * 2 + 1] == 1.0f);
        CHECK(partials[0] == 9.0f);  // of the other KV head
        for (size_t i = 0; i < 128; ++i) CHECK(out[128 + i] == 0.0f);
        CHECK(out[0] == -7.0f);
    }
}

TEST_CASE("combining nothing gives zeros") {
    for (const Kernels& kernels : kernels_of_this_machine()) {
        const std::vector<float> outs(40, 0.0f), partials{-infinity, 0.0f, -infinity, 0.0f};
        for (const int n_splits : {0, 2}) {
            std::vector<float> out(21, 3.0f);
            kernels.combine({.outs = outs.data(),
                             .split_stride = 20,
                             .partials = partials.data(),
                             .partial_stride = 2,
                             .n_splits = n_splits,
                             .head_dim = 20,
                             .out = out.data()});
            for (size_t i = 0; i < 20; ++i) CHECK(out[i] == 0.0f);
            CHECK(out[20] == 3.0f);
        }
    }
}

TEST_CASE("scores of thousands neither overflow nor lose the winner") {
    for (const int64_t n_tokens : {1, 30}) {
        Sequence sequence({.head_dim = 64, .group = 2, .n_tokens = n_tokens, .first_position = 130});
        for (float& each : sequence.q()) each *= 1e4f;
        std::vector<float> expected, result;
        attention_reference(sequence.task(0, expected));
        for (const Kernels& kernels : kernels_of_this_machine()) {
            kernels.attention(sequence.task(0, result));
            CHECK(worst_difference(expected, result) < 1e-2);  // scores near 1e4 carry an error of 1e-3 in f32
        }
    }
}

TEST_CASE("what one token computes does not depend, to the last bit, on who is with it in the batch") {
    for (const Kernels& kernels : kernels_of_this_machine())
        for (const KeyScoring scoring : {KeyScoring::direct, KeyScoring::transposed})
            for (const int group : {1, 4, 7}) {
                Sequence sequence({.head_dim = 128, .group = group, .n_tokens = 40, .first_position = 50});
                std::vector<float> whole, single;
                AttentionTask task = sequence.task(0, whole);
                task.scoring = scoring;
                kernels.attention(task);
                for (const int64_t token : {0, 1, 13, 14, 39}) {
                    task = sequence.task(0, single);
                    task.scoring = scoring;
                    task.q += token * task.q_stride;
                    task.n_tokens = 1;
                    task.first_position += token;
                    task.kv_end = task.first_position + 1;
                    kernels.attention(task);
                    const float* const expected = whole.data() + token * task.out_stride;
                    CHECK(std::equal(expected, expected + group * 128, single.begin()));
                }
            }
}

TEST_CASE("keys that are not finite spoil only numbers") {
    for (const uint16_t bad : {uint16_t{0x7c00}, uint16_t{0xfc00}, f16_nan}) {
        Sequence sequence({.head_dim = 64, .group = 2, .n_tokens = 20, .first_position = 70});
        sequence.key_at(80, 0)[5] = bad;
        std::vector<float> before, after;
        Sequence clean({.head_dim = 64, .group = 2, .n_tokens = 20, .first_position = 70});
        for (const Kernels& kernels : kernels_of_this_machine()) {
            kernels.attention(sequence.task(0, after));
            kernels.attention(clean.task(0, before));
            for (size_t token = 0; token < 10; ++token)  // tokens that do not see the bad key
                for (size_t i = 0; i < 128; ++i) {
                    const size_t at = token * static_cast<size_t>(clean.q_stride()) + i;
                    CHECK(before[at] == after[at]);
                }
        }
    }
}
