#include "tools/bench/answer_reader.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace quern {
namespace {

using Clock = StreamReader::Clock;

/// Feeds the text in pieces of n_bytes.
RequestRecord read_stream(const std::string& text, size_t n_bytes = 1000, int status = 200, const char* type = "text/event-stream") {
    RequestRecord record;
    StreamReader reader(record, Clock::now());
    reader.on_send();
    reader.on_head(status, type);
    for (size_t at = 0; at < text.size(); at += n_bytes)
        if (!reader.on_bytes(std::string_view(text).substr(at, n_bytes))) return record;
    reader.on_end();
    return record;
}

std::string kind_of(const std::string& text, int status = 200, const char* type = "text/event-stream") {
    try {
        read_stream(text, 1000, status, type);
    } catch (const CallFailure& failure) {
        return failure.kind();
    }
    return "none";
}

std::string message_of(const std::string& text, int status) {
    try {
        read_stream(text, 1000, status, "application/json");
    } catch (const CallFailure& failure) {
        return failure.what();
    }
    return "none";
}

const std::string completion =
    ": a comment\r\n\r\n"
    "data: {\"choices\":[{\"text\":\"h\xC3\xA9\",\"finish_reason\":null}]}\n\n"
    "event: x\ndata:{\"choices\":[{\"delta\":{\"content\":\"llo\"}}]}\n\n"
    "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n"
    "data: [DONE]\n\n";

}  // namespace

TEST_CASE("a stream is read alike, however its bytes are cut") {
    for (const size_t n_bytes : {1, 2, 3, 7, 64, 1000}) {
        const RequestRecord record = read_stream(completion, n_bytes);
        CHECK(record.pieces.size() == 2);
        CHECK(record.n_characters == 5);
        CHECK(record.n_prompt_tokens == 7);
        CHECK(record.n_cached_tokens == 4);
        CHECK(record.output_tokens() == 3);
    }
}

TEST_CASE("without the server's count, pieces count") {
    const RequestRecord record =
        read_stream("data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choices\":[{\"text\":\"b\"}]}\n\ndata: [DONE]\n\n");
    CHECK(record.output_tokens() == 2);
    CHECK(!record.n_prompt_tokens);
}

TEST_CASE("the data of several lines is one event") {
    CHECK(read_stream("data: {\"choices\":\ndata: [{\"text\":\"a\"}]}\n\ndata: [DONE]\n\n").pieces.size() == 1);
}

TEST_CASE("a server that does not stream as it should is told apart by what it does") {
    CHECK(kind_of("{}", 200, "application/json") == "no stream");
    CHECK(kind_of("data: nonsense\n\n") == "bad event");
    CHECK(kind_of("data: [1]\n\n") == "bad event");
    CHECK(kind_of("data: {\"choices\":[{\"text\":\"a\"}]}\n\n") == "cut off");
    CHECK(kind_of("") == "cut off");
    CHECK(kind_of("data: {\"error\":{\"message\":\"boom\"}}\n\n") == "error in the stream");
    CHECK(kind_of("data: " + std::string((1 << 20) + 10, 'x')) == "too long");
    std::string many_lines;
    for (int i = 0; i < 2000; ++i) many_lines += "data: " + std::string(1000, 'x') + "\n";
    CHECK(kind_of(many_lines) == "too long");
    CHECK(kind_of("{\"error\":{\"message\":\"no\"}}", 401) == "HTTP 401");
    CHECK(kind_of(std::string(10 << 20, 'x'), 500) == "HTTP 500");
}

TEST_CASE("odd values in events are passed over") {
    for (const char* event : {"{}", "{\"choices\":{}}", "{\"choices\":[]}", "{\"choices\":[7]}", "{\"choices\":[{\"text\":7}]}",
                              "{\"choices\":[{\"delta\":[]}]}", "{\"usage\":[]}", "{\"usage\":{\"prompt_tokens\":\"x\"}}",
                              "{\"choices\":[{\"delta\":{\"content\":null}}]}"})
        CHECK(read_stream("data: " + std::string(event) + "\n\ndata: [DONE]\n\n").pieces.empty());
    CHECK(read_stream("data: {\"usage\":{\"completion_tokens\":-5}}\n\ndata: [DONE]\n\n").output_tokens() == 0);
    CHECK(kind_of("data: " + std::string(100'000, '[') + "\n\n") == "bad event");
}

TEST_CASE("a refusal's message is found in the forms that servers give it") {
    CHECK(message_of("{\"error\":{\"message\":\"no key\"}}", 401).find("no key; give the server's key") != std::string::npos);
    CHECK(message_of("{\"error\":\"plain\"}", 500).find("plain") != std::string::npos);
    CHECK(message_of("{\"detail\":\"Not Found\"}", 404).find("Not Found; check the URL") != std::string::npos);
    CHECK(message_of("<html>\nmore", 502) == "the server answered with status 502: <html>");
    CHECK(message_of("", 500) == "the server answered with status 500");
    CHECK(message_of("{\"error\":{\"message\":\"" + std::string(5000, 'x') + "\"}}", 500).size() < 500);
    CHECK(message_of("\x1b[31mred\n", 500).find('\x1b') == std::string::npos);
}

TEST_CASE("a whole answer of JSON is bounded and must be an object") {
    JsonReader reader;
    reader.on_head(200, "application/json");
    CHECK(reader.on_bytes("{\"usage\":{\"prompt_tokens\":5}}"));
    reader.on_end();
    CHECK(integer_of(reader.json()["usage"], "prompt_tokens") == 5);
    CHECK(!integer_of(reader.json(), "usage"));
    JsonReader list;
    list.on_head(200, "");
    list.on_bytes("[1]");
    CHECK_THROWS_AS(list.on_end(), CallFailure);
    JsonReader huge;
    huge.on_head(200, "");
    const std::string megabyte(1 << 20, ' ');
    CHECK_THROWS_AS(
        [&] {
            for (int i = 0; i < 20; ++i) huge.on_bytes(megabyte);
        }(),
        CallFailure);
}

}  // namespace quern
