#include "base/printable.h"

#include <doctest/doctest.h>

namespace quern {
namespace {

TEST_CASE("ordinary text of any language is printed as it is") {
    CHECK(printable("plain text, \xc3\xbc\xe6\x97\xa5\xf0\x9f\x98\x80 \"quoted\"") ==
          "plain text, \xc3\xbc\xe6\x97\xa5\xf0\x9f\x98\x80 \"quoted\"");
}

TEST_CASE("what could steer a terminal is escaped") {
    CHECK(printable("a\nb\tc\rd") == "a\\nb\\tc\\rd");
    CHECK(printable(std::string_view("\0\x1b[2J\x7f", 6)) == "\\x00\\x1b[2J\\x7f");
    CHECK(printable("\xc2\x9b"
                    "31m") == "\\u009b31m");
    CHECK(printable("\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8\xe2\x80\x8f") == "\\u202e\\u2066\\u2028\\u200f");
    CHECK(printable("\\x1b") == "\\\\x1b");
}

TEST_CASE("bytes that are no UTF-8 are escaped one by one") {
    CHECK(printable("a\xff"
                    "b\xe2\x82") == "a\\xffb\\xe2\\x82");
    CHECK(printable("\xc0\xaf\xed\xa0\x80") == "\\xc0\\xaf\\xed\\xa0\\x80");
}

TEST_CASE("long text is cut between characters") {
    CHECK(printable("abcdef", 3) == "abc...");
    CHECK(printable("abc", 3) == "abc");
    CHECK(printable("ab\xc3\xbc", 3) == "ab...");
    CHECK(printable("abc", 0) == "...");
    CHECK(printable("", 0) == "");
    CHECK(quoted(std::string(200, 'x')) == "\"" + std::string(100, 'x') + "...\"");
}

TEST_CASE("UTF-8 is checked to its last rule") {
    for (const char* good : {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
        CHECK(is_utf8(good));
    for (const char* bad : {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                            "\xc2", "\xe1\x80"})
        CHECK(!is_utf8(bad));
}

}  // namespace

TEST_CASE("a message stays on one line, and what is escaped in it already stays as it is") {
    CHECK(one_line("a\nb\x1b[2J \\n ü") == "a\\nb\\x1b[2J \\n ü");
    CHECK(one_line(std::string_view("nul\0end", 7)) == "nul\\x00end");
}

}  // namespace quern
