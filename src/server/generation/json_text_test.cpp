#include <doctest/doctest.h>

#include <random>

#include "server/generation/json_text.h"
#include "server/generation/wording.h"

using namespace quern;

TEST_CASE("a string written as JSON text is what a JSON document has for it") {
    for (int c = 0; c < 256; ++c) {
        const std::string text = concat("a", std::string(1, static_cast<char>(c)), "b");
        CAPTURE(c);
        CHECK(json_string(text) == dump(Json(text)));
    }
    for (const char* text :
         {"", "plain", "\"\\/", "a\nb\r\t\b\f\x01\x1f\x7f", "\u00e9\u20ac\U0001f600", "\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\xaf"})
        CHECK(json_string(text) == dump(Json(text)));
}

TEST_CASE("any bytes become a JSON string that can be read") {
    std::mt19937 random(7);
    constexpr char bytes[] = "\x00\x1f\"\\ az\x7f\x80\xbf\xc2\xe0\xe2\x82\xac\xed\xa0\xf0\x9f\x98\xf4\xff";
    const std::string_view alphabet(bytes, sizeof bytes);
    for (int i = 0; i < 5000; ++i) {
        std::string text;
        for (size_t n = random() % 12; n > 0; --n) text += alphabet[random() % alphabet.size()];
        const std::string written = json_string(text);
        CHECK(written == dump(Json(text)));
        CHECK(Json::accept(written));
    }
}
