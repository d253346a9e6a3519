#include "tools/adapter_flags.h"

#include <doctest/doctest.h>

#include "base/error.h"

using namespace quern;

TEST_CASE("a scale may follow an adapter's file, and a file's name may hold the same signs") {
    const auto is = [](const char* text, const char* path, float scale) {
        const AdapterSource source = parse_adapter(text);
        return source.path == path && source.scale == scale;
    };
    CHECK(is("a.gguf", "a.gguf", 1));
    CHECK(is("a.gguf=0.5", "a.gguf", 0.5f));
    CHECK(is("a.gguf:-2", "a.gguf", -2));
    CHECK(is("run=3/a.gguf", "run=3/a.gguf", 1));
    CHECK(is("run=3/a.gguf=4", "run=3/a.gguf", 4));
    CHECK(is("a.gguf=", "a.gguf=", 1));
    CHECK_THROWS_AS(parse_adapter(""), InvalidInput);
    CHECK_THROWS_AS(parse_adapter("=1"), InvalidInput);
}

TEST_CASE("a number alone is the scale of the file before it") {
    const std::vector<std::string> words{"a.gguf", "0.5", "b.gguf", "c.gguf:2", "3"};
    const std::vector<AdapterSource> sources = parse_adapters(words);
    REQUIRE(sources.size() == 3);
    CHECK(sources[0].scale == 0.5f);
    CHECK(sources[1].scale == 1.0f);
    CHECK(sources[1].path == "b.gguf");
    CHECK(sources[2].scale == 3.0f);
}
