#include "tools/run/line_reader.h"

#include <doctest/doctest.h>

#include <deque>
#include <vector>

namespace quern {
namespace {

/// Gives what it was told to, and remembers the prompts.
class Script : public LineReader {
  public:
    explicit Script(std::deque<LineRead> lines) : lines_(std::move(lines)) {}

    LineRead read(std::string_view prompt) override {
        prompts.emplace_back(prompt);
        if (lines_.empty()) return {};
        LineRead line = lines_.front();
        lines_.pop_front();
        return line;
    }

    std::vector<std::string> prompts;

  private:
    std::deque<LineRead> lines_;
};

LineRead typed(const char* text) { return {LineRead::Kind::text, text}; }

}  // namespace

TEST_CASE("a message is one line unless it ends in a backslash") {
    Script script({typed("one"), typed("two\\"), typed("three\\"), typed("four")});
    CHECK(read_message(script, "> ").text == "one");
    CHECK(read_message(script, "> ").text == "two\nthree\nfour");
    CHECK(script.prompts == std::vector<std::string>{"> ", "> ", "| ", "| "});
}

TEST_CASE("the end of the input ends an unfinished message and is then seen") {
    Script script({typed("half\\")});
    const LineRead message = read_message(script, "> ");
    CHECK(message.kind == LineRead::Kind::text);
    CHECK(message.text == "half\n");
    CHECK(read_message(script, "> ").kind == LineRead::Kind::end);
}

TEST_CASE("Ctrl-C drops an unfinished message") {
    Script script({typed("half\\"), {LineRead::Kind::interrupted, ""}, typed("next")});
    CHECK(read_message(script, "> ").kind == LineRead::Kind::interrupted);
    CHECK(read_message(script, "> ").text == "next");
}

}  // namespace quern
