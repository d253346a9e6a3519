#include "text/stop_matcher.h"

#include <doctest/doctest.h>

#include <random>

using quern::StopMatcher;

TEST_CASE("text without stop strings passes through at once") {
    StopMatcher matcher({});
    CHECK(matcher.push("abc") == "abc");
    CHECK(matcher.finish().empty());
}

TEST_CASE("a stop string across pieces is found and never shown") {
    StopMatcher matcher({"END"});
    CHECK(matcher.push("one E") == "one ");
    CHECK(matcher.push("N") == "");
    CHECK(matcher.push("D two") == "");
    CHECK(matcher.stopped());
    CHECK(matcher.push("more") == "");
    CHECK(matcher.finish().empty());
}

TEST_CASE("a beginning that does not become a stop string is released") {
    StopMatcher matcher({"aab"});
    CHECK(matcher.push("xaa") == "x");
    CHECK(matcher.push("a") == "a");
    CHECK(matcher.push("c") == "aac");
    CHECK(matcher.push("aa") == "");
    CHECK(matcher.finish() == "aa");
    CHECK(!matcher.stopped());
    CHECK(matcher.match().empty());
}

TEST_CASE("the earliest match wins, not the first in the list") {
    StopMatcher matcher({"late", "early"});
    CHECK(matcher.push("x early late") == "x ");
    CHECK(matcher.stopped());
    CHECK(matcher.match() == "early");
}

TEST_CASE("any cutting of a text gives what the whole text gives") {
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (int i = 0; i < 12; ++i) text += static_cast<char>('a' + random() % 2);
        const std::vector<std::string> stops{"abba", "bab"};
        const size_t expected = std::min(text.find(stops[0]), text.find(stops[1]));
        StopMatcher matcher(stops);
        std::string out;
        for (size_t at = 0; at < text.size();) {
            const size_t n = 1 + random() % 4;
            out += matcher.push(text.substr(at, n));
            at += n;
        }
        out += matcher.finish();
        CHECK(out == text.substr(0, expected));
        CHECK(matcher.stopped() == (expected != std::string::npos));
    }
}
