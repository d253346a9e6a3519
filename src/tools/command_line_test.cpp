#include "tools/command_line.h"

#include <doctest/doctest.h>

#include <optional>

#include "base/error.h"
#include "tools/foreign_flags.h"

namespace quern {
namespace {

/// A subcommand with a bit of everything.
struct Parser {
    CLI::App app{"test", "test"};
    std::optional<std::string> prompt;
    std::vector<std::string> reverse;
    std::vector<int> lengths;
    int layers = 0, n_predict = 0, n_ctx = 0, seed = 0, threads = 0;
    double temperature = 1;
    bool escape = false, interactive = false, conversation = false;

    Parser() {
        app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
        app.add_option("-p,--prompt", prompt);
        app.add_option("-r,--reverse-prompt", reverse)->allow_extra_args(false);
        app.add_option("--lengths", lengths)->delimiter(',');
        app.add_option("--n-gpu-layers", layers);
        app.add_option("-n,--n-predict", n_predict);
        app.add_option("-c,--ctx-size,--n-ctx", n_ctx);
        app.add_option("-s,--seed", seed);
        app.add_option("-t,--threads", threads);
        app.add_option("--temp", temperature);
        app.add_flag("-e,--escape", escape);
        app.add_flag("-i,--interactive", interactive);
        app.add_flag("--conversation", conversation);
        declare_foreign_flags(app);
    }

    /// Parses, and gives the note on flags without effect.
    std::string parse(const std::vector<const char*>& arguments) {
        std::vector<std::string> words = normalize_flags(app, arguments);
        std::reverse(words.begin(), words.end());
        app.parse(words);
        return check_foreign_flags(app);
    }
};

}  // namespace

TEST_CASE("a seed's command line reads as meant") {
    Parser parser;
    parser.parse({"--n-gpu-layers", "-1", "-e", "-p", "写一篇1000字的作文", "-n", "64"});
    CHECK(parser.layers == -1);
    CHECK(parser.escape);
    CHECK(*parser.prompt == "写一篇1000字的作文");
    CHECK(parser.n_predict == 64);
}

TEST_CASE("single-dash words stand for their long options") {
    Parser parser;
    parser.parse({"-ngl", "33", "-cnv", "-n", "-1", "-s", "-1"});
    CHECK(parser.layers == 33);
    CHECK(parser.conversation);
    CHECK(parser.n_predict == -1);
    CHECK(parser.seed == -1);
}

TEST_CASE("underscores in names are hyphens, and those in values stay") {
    Parser parser;
    parser.parse({"--n_gpu_layers=-1", "--n_ctx", "512", "--prompt=a_b=c", "--n_predict=-2"});
    CHECK(parser.layers == -1);
    CHECK(parser.n_ctx == 512);
    CHECK(*parser.prompt == "a_b=c");
    CHECK(parser.n_predict == -2);
}

TEST_CASE("a value that looks like a flag is a value") {
    Parser parser;
    parser.parse({"-p", "-ngl", "-r", "--n_ctx", "-r", "-", "-e"});
    CHECK(*parser.prompt == "-ngl");
    CHECK(parser.reverse == std::vector<std::string>{"--n_ctx", "-"});
    CHECK(parser.escape);
}

TEST_CASE("an empty prompt is a prompt, in either spelling") {
    Parser apart, joined;
    apart.parse({"-p", "", "-n", "3"});
    joined.parse({"--prompt=", "-n", "3"});
    REQUIRE(apart.prompt);
    REQUIRE(joined.prompt);
    CHECK(apart.prompt->empty());
    CHECK(joined.prompt->empty());
    CHECK(apart.n_predict == 3);
    CHECK(joined.n_predict == 3);
}

TEST_CASE("a number may be attached to its letter") {
    Parser parser;
    parser.parse({"-t4", "-n-1"});
    CHECK(parser.threads == 4);
    CHECK(parser.n_predict == -1);
}

TEST_CASE("the last of repeated flags counts, lists collect") {
    Parser parser;
    parser.parse({"--temp", "0.5", "--temp", "0", "-r", "a", "-r", "b", "--lengths", "1,2"});
    CHECK(parser.temperature == 0.0);
    CHECK(parser.reverse == std::vector<std::string>{"a", "b"});
    CHECK(parser.lengths == std::vector<int>{1, 2});
}

TEST_CASE("unknown flags and missing values are refused") {
    CHECK_THROWS_AS(Parser().parse({"-nonsense"}), InvalidInput);
    CHECK_THROWS_AS(Parser().parse({"--nonsense"}), CLI::ParseError);
    CHECK_THROWS_AS(Parser().parse({"--n-predict"}), CLI::ParseError);
    CHECK_THROWS_AS(Parser().parse({"--n-predict", "many"}), CLI::ParseError);
    CHECK_THROWS_AS(Parser().parse({"stray"}), CLI::ParseError);
}

TEST_CASE("flags of llama.cpp that change only speed are listed as without effect") {
    Parser parser;
    const std::string note = parser.parse({"--mlock", "-fa", "-ctk", "q8_0", "-tb", "4", "-p", "x"});
    CHECK(note.find("--mlock") != std::string::npos);
    CHECK(note.find("--flash-attn") != std::string::npos);
    CHECK(note.find("--cache-type-k") != std::string::npos);
    CHECK(note.find("--threads-batch") != std::string::npos);
    CHECK(*parser.prompt == "x");
    CHECK(Parser().parse({"-fa", "on", "-p", "x"}) ==
          "note: no effect here: --flash-attn (attention is always computed without a matrix of scores)");
    CHECK(Parser().parse({"-p", "x"}).empty());
}

TEST_CASE("flags of llama.cpp that would change the output are refused unless they ask for nothing") {
    CHECK_THROWS_AS(Parser().parse({"--mirostat", "2"}), InvalidInput);
    CHECK_THROWS_AS(Parser().parse({"--grammar", "root ::= \"a\""}), InvalidInput);
    CHECK_THROWS_AS(Parser().parse({"--lora", "0"}), InvalidInput);
    CHECK_THROWS_AS(Parser().parse({"-hf", "a/b"}), InvalidInput);
    CHECK_NOTHROW(Parser().parse({"--mirostat", "0", "--typical", "1.0", "--top-nsigma", "-1"}));
}

}  // namespace quern
