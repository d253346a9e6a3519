#include "gguf/metadata_override.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "gguf/gguf_file.h"

using namespace quern;

namespace {

std::string complaint(std::string_view text) {
    try {
        parse_metadata_override(text);
        return "none";
    } catch (const InvalidInput& error) {
        return error.what();
    }
}

std::unique_ptr<GgufFile> stories() { return GgufFile::open(QUERN_TEST_DATA "/stories260K.gguf"); }

}  // namespace

TEST_CASE("an override is a key, a type and a value") {
    CHECK(std::get<int64_t>(parse_metadata_override("a.b=int:-5").value) == -5);
    CHECK(std::get<double>(parse_metadata_override("a=float:1e6").value) == 1e6);
    CHECK(std::get<bool>(parse_metadata_override("a=bool:true").value));
    CHECK(std::get<std::string>(parse_metadata_override("a=str:b=c:d").value) == "b=c:d");
    CHECK(parse_metadata_override("a.b=int:1").key == "a.b");
    CHECK(std::get<std::string>(parse_metadata_override("a=str:").value).empty());
}

TEST_CASE("what is no override is said in one line") {
    for (const char* text : {"", "a", "a=", "=int:1", "a=int", "a:int=1", "a\n=int"})
        CHECK(complaint(text).find("is not KEY=TYPE:VALUE") != std::string::npos);
    for (const char* text : {"a=int:", "a=int:1.5", "a=int:99999999999999999999", "a=float:x", "a=float:nan", "a=bool:1"})
        CHECK(complaint(text).find("is no ") != std::string::npos);
    CHECK(complaint("a=u32:5").find("there are int, float, bool and str") != std::string::npos);
    CHECK(complaint("a\n=int:x").find('\n') == std::string::npos);
}

TEST_CASE("an override takes the place of the file's value, and must be of its kind") {
    const auto file = stories();
    const size_t n_keys = file->metadata().entries().size();
    const auto override_with = [&](const char* text) { file->override_key(parse_metadata_override(text)); };
    override_with("llama.context_length=int:77");
    override_with("general.name=str:another");
    override_with("new.key=float:0.5");
    CHECK(file->metadata().require_integer("llama.context_length") == 77);
    CHECK(file->metadata().require_string("general.name") == "another");
    CHECK(file->metadata().require_real("new.key") == 0.5);
    CHECK(file->metadata().entries().size() == n_keys + 1);
    override_with("new.key=float:0.25");
    CHECK(file->metadata().require_real("new.key") == 0.25);
    CHECK_THROWS_AS(override_with("llama.context_length=str:x"), InvalidInput);
    CHECK_THROWS_AS(override_with("llama.context_length=float:1"), InvalidInput);
    CHECK_THROWS_AS(override_with("general.name=int:1"), InvalidInput);
    CHECK_THROWS_AS(override_with("tokenizer.ggml.tokens=str:x"), InvalidInput);
    CHECK_THROWS_AS(override_with("general.alignment=int:64"), InvalidInput);
    CHECK_THROWS_AS(override_with("split.count=int:2"), InvalidInput);
}
