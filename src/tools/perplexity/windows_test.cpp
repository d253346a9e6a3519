#include "tools/perplexity/windows.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace quern {

TEST_CASE("windows stand side by side and their second half is scored") {
    const TextWindows windows = cut_windows(1100, 512, 0, 0);
    CHECK(windows.n_windows == 2);
    CHECK(windows.first_scored == 256);
    CHECK(windows.n_scored() == 255);
    CHECK(cut_windows(1100, 512, 0, 1).n_windows == 1);
}

TEST_CASE("with a stride each window scores as many tokens as it moves on") {
    const TextWindows windows = cut_windows(100, 64, 16, 0);
    CHECK(windows.n_windows == 3);
    CHECK(windows.n_scored() == 16);
    CHECK(windows.n_scored() + windows.first_scored == 63);
}

TEST_CASE("a window that cannot be is refused") {
    CHECK_THROWS_AS(cut_windows(100, 3, 0, 0), InvalidInput);
    CHECK_THROWS_AS(cut_windows(100, 64, 64, 0), InvalidInput);
    CHECK_THROWS_AS(cut_windows(63, 64, 0, 0), InvalidInput);
}

TEST_CASE("a window begins with the vocabulary's begin token in place of its own first") {
    const std::vector<TokenId> text = {{5}, {6}, {7}, {8}, {9}, {10}, {11}, {12}};
    const TextWindows windows = cut_windows(8, 4, 0, 0);
    CHECK(window_tokens(text, windows, 1, TokenId{1}) == std::vector<TokenId>{{1}, {10}, {11}, {12}});
    CHECK(window_tokens(text, windows, 1, std::nullopt).front() == TokenId{9});
}

}  // namespace quern
