#include "tools/run/escapes.h"

#include <doctest/doctest.h>

namespace quern {

TEST_CASE("named escapes become their characters") {
    CHECK(unescape(R"(a\nb\tc\rd)") == "a\nb\tc\rd");
    CHECK(unescape(R"(\'\"\\)") == "'\"\\");
}

TEST_CASE("an escaped backslash does not start another escape") { CHECK(unescape(R"(\\n)") == "\\n"); }

TEST_CASE("two hex digits make one byte, zero included") {
    CHECK(unescape(R"(\xe4\xBD\xa0)") == "你");
    CHECK(unescape(R"(a\x00b)") == std::string("a\0b", 3));
}

TEST_CASE("what is no escape stays as it is") {
    CHECK(unescape(R"(\q \x4 \xzz C:\dir)") == R"(\q \x4 \xzz C:\dir)");
    CHECK(unescape("ends with \\") == "ends with \\");
    CHECK(unescape("写一篇") == "写一篇");
}

}  // namespace quern
