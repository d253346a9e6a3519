#include "tools/run/options.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "tools/command_line.h"
#include "tools/run/answer.h"

namespace quern {
namespace {

RunOptions parse(std::vector<const char*> flags) {
    CLI::App app("run", "run");
    RunOptions options;
    declare_run_options(app, options);
    flags.insert(flags.begin(), {"-m", "model.gguf"});
    std::vector<std::string> words = normalize_flags(app, flags);
    std::reverse(words.begin(), words.end());
    app.parse(words);
    complete_run_options(options);
    return options;
}

}  // namespace

TEST_CASE("the sampling defaults are llama.cpp's") {
    const Request request = parse({"-p", "x"}).request();
    CHECK(request.sampling.temperature == doctest::Approx(0.8));
    CHECK(request.sampling.top_k == 40);
    CHECK(request.sampling.top_p == doctest::Approx(0.95));
    CHECK(request.sampling.min_p == doctest::Approx(0.05));
    CHECK(request.sampling.repeat_penalty == 1.0f);
    CHECK(request.sampling.repeat_last_n == 64);
    CHECK(!request.sampling.seed);
    CHECK(!request.max_tokens);
    CHECK(!request.ignore_end);
}

TEST_CASE("flags reach the request and the engine") {
    const RunOptions options =
        parse({"-n", "7", "-s", "42", "--temp", "0", "--ignore-eos", "-ngl", "-1", "-c", "99", "-t", "-1", "-p", ""});
    CHECK(options.request().max_tokens == 7);
    CHECK(options.request().sampling.seed == 42u);
    CHECK(options.request().sampling.temperature == 0);
    CHECK(options.request().ignore_end);
    CHECK(options.engine.n_gpu_layers == -1);
    CHECK(options.engine.n_ctx == 99);
    CHECK(options.engine.n_threads == 0);
    CHECK(options.engine.model_path == "model.gguf");
    CHECK(options.prompt == "");
}

TEST_CASE("escapes are replaced in every text, and only with -e") {
    const RunOptions with = parse({"-e", "-p", "a\\nb", "-r", "\\n", "--in-prefix", "\\t", "--in-suffix", "\\x41", "-sys", "\\\\"});
    CHECK(with.prompt == "a\nb");
    CHECK(with.reverse_prompts == std::vector<std::string>{"\n"});
    CHECK(with.in_prefix == "\t");
    CHECK(with.in_suffix == "A");
    CHECK(with.system_prompt == "\\");
    CHECK(parse({"-p", "a\\nb"}).prompt == "a\\nb");
}

TEST_CASE("contradictions are refused") {
    CHECK_THROWS_AS(parse({"--chat", "-no-cnv"}), InvalidInput);
    CHECK_THROWS_AS(parse({"-p", "x", "-f", "y"}), InvalidInput);
    CHECK_THROWS_AS(parse({"-p", "x", "-e", "--no-escape"}), InvalidInput);
    CHECK_THROWS_AS(parse({"-p", "x", "--logits-all"}), InvalidInput);
    CHECK_THROWS_AS(parse({"--logits-out", "x"}), InvalidInput);
    CHECK_THROWS_AS(parse({"-p", "x", "-r", ""}), InvalidInput);
    CHECK_THROWS_AS(parse({"--chat-format", "functionary"}), InvalidInput);
    CHECK_THROWS_AS(parse({"-f", "/does/not/exist"}), InvalidInput);
}

TEST_CASE("keys of the file and its rotary embedding may be overridden") {
    const RunOptions options = parse({"-p", "x", "--override-kv", "a=int:1", "--override-kv", "b=str:y", "--rope-scaling", "yarn",
                                      "--rope_scale", "4", "--rope-freq-base", "0", "--yarn-orig-ctx", "2048", "--yarn-ext-factor", "-1"});
    REQUIRE(options.engine.kv_overrides.size() == 2);
    CHECK(options.engine.kv_overrides[1].key == "b");
    CHECK(options.engine.rope == RopeOverride{.scaling = "yarn", .freq_scale = 0.25, .original_context = 2048});
    CHECK(parse({"-p", "x", "--chat-template", "{{ messages }}"}).engine.chat_template == "{{ messages }}");
    CHECK(parse({"-p", "x", "--chat-template", "chatml"}).engine.chat_format == "chatml");
    CHECK_THROWS(parse({"-p", "x", "--override-kv", "a"}));
    CHECK_THROWS(parse({"-p", "x", "--rope-scaling", "more"}));
    CHECK_THROWS(parse({"-p", "x", "--rope-scale", "0"}));
}

TEST_CASE("the reverse prompt that ends first counts") {
    const std::vector<std::string> needles{"User:", "er"};
    CHECK(end_of_first("the User: says", needles, 0) == 8);
    CHECK(end_of_first("the User: says", needles, 7) == std::string::npos);
    CHECK(end_of_first("nothing", needles, 0) == std::string::npos);
    CHECK(end_of_first("anything", {}, 0) == std::string::npos);
}

}  // namespace quern
