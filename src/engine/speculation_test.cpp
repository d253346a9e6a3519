#include "engine/speculation.h"

#include <doctest/doctest.h>

#include <random>

using namespace quern;

namespace {

std::vector<int32_t> drafted(const std::vector<int32_t>& text, int longest, int64_t n) {
    std::vector<int32_t> draft{99};
    look_up_draft(text, longest, n, draft);
    return draft;
}

}  // namespace

TEST_CASE("what followed the last tokens earlier is proposed, by the longest run and then the latest") {
    CHECK(drafted({1, 2, 3, 4, 5, 1, 2}, 3, 3) == std::vector<int32_t>{3, 4, 5});
    CHECK(drafted({1, 2, 7, 1, 2, 8, 1, 2}, 2, 1) == std::vector<int32_t>{8});
    CHECK(drafted({0, 1, 2, 7, 1, 2, 8, 0, 1, 2}, 3, 1) == std::vector<int32_t>{7});
    CHECK(drafted({1, 2, 3, 1, 2}, 3, 8) == std::vector<int32_t>{3, 1, 2});
    CHECK(drafted({5, 5, 5, 5}, 2, 4) == std::vector<int32_t>{5});
    CHECK(drafted({5, 6, 5}, 3, 2).empty());  // one token in common is too little
    CHECK(drafted({5, 6, 5}, 1, 2) == std::vector<int32_t>{6, 5});
    for (const std::vector<int32_t>& nothing : {std::vector<int32_t>{1}, std::vector<int32_t>{1, 2}, std::vector<int32_t>{1, 2, 3, 4}})
        CHECK(drafted(nothing, 3, 4).empty());
}

TEST_CASE("looking up finds what a plain search of every place finds") {
    std::mt19937 random(1);
    for (int round = 0; round < 500; ++round) {
        std::vector<int32_t> text(1 + random() % 60);
        for (int32_t& each : text) each = static_cast<int32_t>(random() % 3);
        const int longest = 2 + static_cast<int>(random() % 4);
        std::vector<int32_t> expected;
        for (int length = longest; length >= 2 && expected.empty(); --length)
            for (int end = static_cast<int>(text.size()) - 1; end >= length && expected.empty(); --end)
                if (std::equal(text.end() - length, text.end(), text.begin() + end - length))
                    expected.assign(text.begin() + end, text.begin() + std::min(end + 5, static_cast<int>(text.size())));
        CHECK(drafted(text, longest, 5) == expected);
    }
}
