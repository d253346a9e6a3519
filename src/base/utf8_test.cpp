#include "base/utf8.h"

#include <doctest/doctest.h>

namespace quern {

TEST_CASE("every code point survives writing and reading") {
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        std::string text;
        append_utf8(text, c);
        const CodePoint read = decode_utf8(text, 0);
        if (read.value != c || read.n_bytes != text.size()) FAIL("code point ", static_cast<uint32_t>(c));
    }
}

TEST_CASE("overlong forms, surrogates, lone bytes and values beyond Unicode are invalid") {
    for (const char* bad :
         {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x80\x80\x80",
          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xC3(", "\xE2(\xAC"}) {
        CAPTURE(bad);
        CHECK(decode_utf8(bad, 0).n_bytes == 0);
    }
}

TEST_CASE("the cut of a stream is found") {
    CHECK(incomplete_utf8_tail("abc") == 0);
    CHECK(incomplete_utf8_tail("a\xC3") == 1);
    CHECK(incomplete_utf8_tail("a\xE2\x82") == 2);
    CHECK(incomplete_utf8_tail("a\xF0\x9F\x98") == 3);
    CHECK(incomplete_utf8_tail("a\xF0\x9F\x98\x80") == 0);
    CHECK(incomplete_utf8_tail("a\x80\x80") == 0);  // nothing will complete these
    CHECK(incomplete_utf8_tail("a\xE0\x80") == 0);  // an overlong form begins so
    CHECK(valid_utf8_prefix("ab\xC3\xA9\xFFz") == 4);
    CHECK(valid_utf8_prefix("") == 0);
}

TEST_CASE("repaired text is valid, and what was valid stays") {
    CHECK(repair_utf8("a\xC3\xA9z") == "a\xC3\xA9z");
    CHECK(repair_utf8("a\xFF\xFEz") == "a\xEF\xBF\xBD\xEF\xBF\xBDz");
    CHECK(repair_utf8("a\xE2\x82z") == "a\xEF\xBF\xBDz");
    CHECK(repair_utf8("\xFF") == "\xEF\xBF\xBD");
    CHECK(repair_utf8("a\x80"
                      "b\x80") ==
          "a\xEF\xBF\xBD"
          "b\xEF\xBF\xBD");
}

}  // namespace quern
