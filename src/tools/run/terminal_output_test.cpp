#include "tools/run/terminal_output.h"

#include <doctest/doctest.h>

namespace quern {

TEST_CASE("escape sequences lose their teeth and their text stays readable") {
    CHECK(strip_controls("a\x1b[31mred\x1b]0;title\x07z") == "a[31mred]0;titlez");
    CHECK(strip_controls("back\b\rspace\x7f") == "backspace");
    CHECK(strip_controls(std::string_view("nul\0!", 5)) == "nul!");
}

TEST_CASE("newlines, tabs and all other text pass") {
    CHECK(strip_controls("line\n\tindented 写一篇 é 🙂") == "line\n\tindented 写一篇 é 🙂");
    CHECK(strip_controls("\u00a0\u00c2\u00e9") == "\u00a0\u00c2\u00e9");
}

TEST_CASE("one-character control sequences beyond ASCII are taken out") { CHECK(strip_controls("a\u009b31mb\u0085c\u0080") == "a31mbc"); }

}  // namespace quern
