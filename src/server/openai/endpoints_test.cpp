// What the endpoints answer, with an engine that says what it is told to.
#include <doctest/doctest.h>

#include <limits>

#include "server/endpoint_table.h"
#include "server/http/test_client_test.h"
#include "server/openai/api_client_test.h"
#include "server/openapi.h"

using namespace quern;

namespace {

const std::string hello = R"("messages":[{"role":"user","content":"Hi"}])";

Json json_of(const HttpResponse& response) {
    REQUIRE_MESSAGE(response.status == 200, response.body);
    return Json::parse(response.body);
}

std::string joined_content(const std::vector<std::string>& events, size_t index = 0) {
    std::string text;
    for (const std::string& data : events) {
        if (data == "[DONE]") continue;
        const Json json = Json::parse(data);
        for (const Json& choice : json["choices"]) {
            if (choice["index"] != index) continue;
            if (choice.contains("text")) text += choice["text"].get<std::string>();
            if (choice.contains("delta") && choice["delta"].contains("content")) text += choice["delta"]["content"].get<std::string>();
        }
    }
    return text;
}

}  // namespace

TEST_CASE("a chat answer has every key that typed clients read") {
    ApiClient api;
    const Json json = json_of(api.chat("{\"model\":\"fake\"," + hello + "}"));
    CHECK(json["id"].get<std::string>().starts_with("chatcmpl-"));
    CHECK(json["object"] == "chat.completion");
    CHECK(json["model"] == "fake");
    CHECK(json["created"].is_number_integer());
    CHECK(json["system_fingerprint"].is_string());
    CHECK(
        json["choices"] ==
        Json::parse(
            R"([{"index":0,"message":{"role":"assistant","content":"Hello, world","refusal":null},"logprobs":null,"finish_reason":"stop"}])"));
    const int64_t n_prompt = json["usage"]["prompt_tokens"];
    CHECK(n_prompt == static_cast<int64_t>(api.engine().requests()[0].prompt.size()));
    CHECK(json["usage"]["completion_tokens"] == 12);
    CHECK(json["usage"]["total_tokens"] == n_prompt + 12);
    CHECK(json["usage"]["prompt_tokens_details"]["cached_tokens"] == 0);
    CHECK(api.engine().prompt_text(0) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST_CASE("a chat stream begins with the role, ends with a reason, and counts only when asked") {
    ApiClient api;
    const auto plain = ApiClient::events(api.chat("{\"stream\":true," + hello + "}"));
    CHECK(Json::parse(plain.front())["choices"][0]["delta"] == Json::parse(R"({"role":"assistant","content":"","refusal":null})"));
    CHECK(Json::parse(plain.front())["object"] == "chat.completion.chunk");
    CHECK(plain.back() == "[DONE]");
    const Json last = Json::parse(plain[plain.size() - 2]);
    CHECK(last["choices"][0]["delta"] == Json::object());
    CHECK(last["choices"][0]["finish_reason"] == "stop");
    CHECK(joined_content(plain) == "Hello, world");
    for (size_t i = 0; i + 1 < plain.size(); ++i) {
        const Json chunk = Json::parse(plain[i]);
        CHECK(!chunk.contains("usage"));
        CHECK(chunk["id"] == last["id"]);
        if (i + 2 < plain.size()) CHECK(chunk["choices"][0]["finish_reason"].is_null());
    }
    const auto counted = ApiClient::events(api.chat("{\"stream\":true,\"stream_options\":{\"include_usage\":true}," + hello + "}"));
    const Json usage = Json::parse(counted[counted.size() - 2]);
    CHECK(usage["choices"].empty());
    CHECK(usage["usage"]["completion_tokens"] == 12);
    for (size_t i = 0; i + 2 < counted.size(); ++i) CHECK(Json::parse(counted[i])["usage"].is_null());
}

TEST_CASE("max_tokens ends an answer with the reason length, by either name") {
    ApiClient api;
    for (const char* name : {"max_tokens", "max_completion_tokens"}) {
        const Json json = json_of(api.chat(concat("{\"", name, "\":5,", hello, "}")));
        CHECK(json["choices"][0]["finish_reason"] == "length");
        CHECK(json["choices"][0]["message"]["content"] == "Hello");
    }
}

TEST_CASE("a stop string never shows, and its tokens are not among the log probabilities") {
    ApiClient api;
    for (const char* stream : {"false", "true"}) {
        const HttpResponse response =
            api.chat(concat("{\"stop\":[\"zzz\",\", w\"],\"logprobs\":true,\"stream\":", stream, ",", hello, "}"));
        std::string text, tokens;
        if (std::string_view(stream) == "true") {
            const auto events = ApiClient::events(response);
            text = joined_content(events);
            for (size_t i = 0; i + 1 < events.size(); ++i) {
                const Json choice = Json::parse(events[i])["choices"][0];
                if (choice["logprobs"].is_null()) continue;
                for (const Json& entry : choice["logprobs"]["content"]) tokens += entry["token"].get<std::string>();
            }
        } else {
            const Json choice = json_of(response)["choices"][0];
            CHECK(choice["finish_reason"] == "stop");
            text = choice["message"]["content"];
            for (const Json& entry : choice["logprobs"]["content"]) tokens += entry["token"].get<std::string>();
        }
        CHECK(text == "Hello");
        CHECK(tokens == "Hello");
    }
}

TEST_CASE("a character in several tokens is one in text, and bytes in log probabilities") {
    ApiClient api({.text = "a\xe5\x86\x99\xf0\x9f\x98\x80"});
    const Json choice = json_of(api.chat("{\"logprobs\":true,\"top_logprobs\":2," + hello + "}"))["choices"][0];
    CHECK(choice["message"]["content"] == "a\xe5\x86\x99\xf0\x9f\x98\x80");
    std::string bytes;
    for (const Json& entry : choice["logprobs"]["content"]) {
        CHECK(entry["top_logprobs"].size() == 2);
        for (const Json& byte : entry["bytes"]) bytes += static_cast<char>(byte.get<int>());
    }
    CHECK(Json(bytes) == choice["message"]["content"]);
    for (const std::string& data : ApiClient::events(api.chat("{\"stream\":true," + hello + "}")))
        CHECK(Json::accept(data == "[DONE]" ? "0" : data));
}

TEST_CASE("several choices have an index and a seed each, and count the prompt once") {
    ApiClient api;
    const Json json = json_of(api.chat("{\"n\":3,\"seed\":7," + hello + "}"));
    REQUIRE(json["choices"].size() == 3);
    for (size_t i = 0; i < 3; ++i) {
        CHECK(json["choices"][i]["index"] == i);
        CHECK(api.engine().requests()[i].sampling.seed == 7 + i);
    }
    CHECK(json["usage"]["prompt_tokens"] == api.engine().requests()[0].prompt.size());
    CHECK(json["usage"]["completion_tokens"] == 36);
    const auto events = ApiClient::events(api.chat("{\"n\":2,\"stream\":true," + hello + "}"));
    CHECK(joined_content(events, 0) == "Hello, world");
    CHECK(joined_content(events, 1) == "Hello, world");
}

TEST_CASE("messages reach the template as one text each") {
    ApiClient api;
    json_of(api.chat(
        R"({"messages":[{"role":"developer","content":"Short."},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
                         {"role":"assistant","content":null},{"role":"user","content":"c","name":"x"}],"add_generation_prompt":false})"));
    CHECK(api.engine().prompt_text(0) ==
          "<|im_start|>system\nShort.<|im_end|>\n<|im_start|>user\na\nb<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n<|im_start|>user\nc<|"
          "im_end|>\n");
}

TEST_CASE("sampling fields arrive at the engine") {
    ApiClient api;
    json_of(api.chat(
        R"({"temperature":0.5,"top_p":0.9,"top_k":7,"min_p":0.1,"presence_penalty":1,"frequency_penalty":-1,"repetition_penalty":1.2,
                         "repeat_last_n":9,"seed":-5,"logit_bias":{"5":-100,"6":1.5},"ignore_eos":true,"stop":null,"max_tokens":null,)" +
        hello + "}"));
    const Request request = api.engine().requests()[0];
    CHECK(request.sampling.temperature == 0.5f);
    CHECK(request.sampling.top_p == 0.9f);
    CHECK(request.sampling.top_k == 7);
    CHECK(request.sampling.min_p == 0.1f);
    CHECK(request.sampling.presence_penalty == 1.0f);
    CHECK(request.sampling.frequency_penalty == -1.0f);
    CHECK(request.sampling.repeat_penalty == 1.2f);
    CHECK(request.sampling.repeat_last_n == 9);
    CHECK(request.sampling.seed == static_cast<uint64_t>(-5));
    CHECK(request.sampling.logit_bias == std::vector<std::pair<TokenId, float>>{{{5}, -100.0f}, {{6}, 1.5f}});
    CHECK(request.ignore_end);
    CHECK(!request.max_tokens);
}

TEST_CASE("without fields, sampling is OpenAI's: temperature 1 and no filters") {
    ApiClient api;
    json_of(api.chat("{\"top_k\":-1,\"seed\":-1," + hello + "}"));
    const Request request = api.engine().requests()[0];
    CHECK(request.sampling.temperature == 1.0f);
    CHECK(request.sampling.top_p == 1.0f);
    CHECK(request.sampling.top_k == 0);
    CHECK(request.sampling.repeat_penalty == 1.0f);
    CHECK(!request.sampling.seed);
    CHECK(!request.max_tokens);
    json_of(api.complete("{\"prompt\":\"x\"}"));
    CHECK(api.engine().requests()[1].max_tokens == 16);
}

TEST_CASE("a completion has every key that typed clients read") {
    ApiClient api;
    const Json json = json_of(api.complete(R"({"prompt":"Say"})"));
    CHECK(json["id"].get<std::string>().starts_with("cmpl-"));
    CHECK(json["object"] == "text_completion");
    CHECK(json["choices"] == Json::parse(R"([{"index":0,"text":"Hello, world","logprobs":null,"finish_reason":"stop"}])"));
    CHECK(json["usage"]["prompt_tokens"] == 4);
    CHECK(api.engine().requests()[0].prompt == std::vector<TokenId>{{1}, {'S' + 3}, {'a' + 3}, {'y' + 3}});
}

TEST_CASE("a prompt may be a text, texts, tokens, or lists of tokens; choices go prompt by prompt") {
    ApiClient api;
    const Json texts = json_of(api.complete(R"({"prompt":["ab","c"],"n":2,"echo":true})"));
    REQUIRE(texts["choices"].size() == 4);
    CHECK(texts["choices"][1]["text"] == "abHello, world");
    CHECK(texts["choices"][2]["text"] == "cHello, world");
    CHECK(texts["usage"]["prompt_tokens"] == 5);
    json_of(api.complete(R"({"prompt":[10,11]})"));
    CHECK(api.engine().requests().back().prompt == std::vector<TokenId>{{10}, {11}});
    const Json lists = json_of(api.complete(R"({"prompt":[[68,69],[70]],"echo":true,"max_tokens":0})"));
    CHECK(lists["choices"][0]["text"] == "AB");
    CHECK(lists["choices"][1]["text"] == "C");
    CHECK(lists["choices"][0]["finish_reason"] == "length");
    json_of(api.complete(R"({"prompt":""})"));
    CHECK(api.engine().requests().back().prompt == std::vector<TokenId>{{1}});
}

TEST_CASE("log probabilities of a completion keep step with its text") {
    ApiClient api({.text = "a\xe5\x86\x99z"});
    const Json logprobs = json_of(api.complete(R"({"prompt":"x","logprobs":1})"))["choices"][0]["logprobs"];
    CHECK(logprobs["tokens"] == Json({"a", "bytes:\\xe5", "bytes:\\x86", "bytes:\\x99", "z"}));
    CHECK(logprobs["text_offset"] == Json({0, 1, 2, 2, 2}));
    CHECK(logprobs["token_logprobs"].size() == 5);
    CHECK(logprobs["top_logprobs"][0] == Json({{"a", -0.5}}));
    CHECK(json_of(api.complete(R"({"prompt":"x"})"))["choices"][0]["logprobs"].is_null());
}

TEST_CASE("a completion stream gives the echo first and a reason last") {
    ApiClient api;
    const auto events =
        ApiClient::events(api.complete(R"({"prompt":"Say: ","echo":true,"stream":true,"stream_options":{"include_usage":true}})"));
    CHECK(Json::parse(events.front())["choices"][0]["text"] == "Say: ");
    CHECK(joined_content(events) == "Say: Hello, world");
    CHECK(Json::parse(events[events.size() - 3])["choices"][0]["finish_reason"] == "stop");
    CHECK(Json::parse(events[events.size() - 2])["usage"]["completion_tokens"] == 12);
    CHECK(events.back() == "[DONE]");
}

TEST_CASE("models are listed, described, and found by alias, file name and path") {
    ApiClient api;
    auto other = std::make_unique<FakeEngine>();
    api.store().add(std::move(other), "dir/second.gguf", "org/name:tag");
    const Json list = json_of(api.send("GET", "/v1/models"));
    CHECK(list["object"] == "list");
    REQUIRE(list["data"].size() == 2);
    CHECK(list["data"][0]["id"] == "fake");
    CHECK(list["data"][0]["object"] == "model");
    CHECK(list["data"][0]["created"].is_number_integer());
    CHECK(list["data"][0]["owned_by"].is_string());
    for (const char* name : {"org/name:tag", "second.gguf", "second", "dir/second.gguf"}) {
        CHECK(json_of(api.send("GET", std::string("/v1/models/") + name))["id"] == "org/name:tag");
        CHECK(json_of(api.complete(concat(R"({"prompt":"x","model":")", name, "\"}")))["model"] == "org/name:tag");
    }
    CHECK(json_of(api.complete(R"({"prompt":"x"})"))["model"] == "fake");
    const HttpResponse unknown = api.complete(R"({"prompt":"x","model":"gpt-4"})");
    CHECK(unknown.status == 404);
    CHECK(Json::parse(unknown.body)["error"]["code"] == "model_not_found");
    CHECK(unknown.body.find("org/name:tag") != std::string::npos);
    CHECK(api.send("GET", "/v1/models/nope").status == 404);
    CHECK_THROWS_AS(api.store().add(std::make_unique<FakeEngine>(), "x/fake.gguf", ""), InvalidInput);
}

TEST_CASE("a full window, a full queue and a failed generation are told apart") {
    ApiClient small;
    small.engine().set_window(8);
    const HttpResponse overflow = small.complete(R"({"prompt":"far too long"})");
    CHECK(overflow.status == 400);
    CHECK(Json::parse(overflow.body)["error"]["code"] == "context_length_exceeded");
    ApiClient busy({.is_busy = true});
    CHECK(busy.complete(R"({"prompt":"x","stream":true})").status == 429);
    ApiClient broken({.error = "the device failed"});
    const HttpResponse failed = broken.complete(R"({"prompt":"x"})");
    CHECK(failed.status == 500);
    CHECK(Json::parse(failed.body)["error"]["message"] == "the device failed");
}

TEST_CASE("a client that closes cancels its generations before their end, plain and streamed") {
    ApiClient api({.is_endless = true, .pause = std::chrono::milliseconds(1)});
    RunningServer running(api.service());
    int n_expected = 0;
    for (const char* stream : {"false", "true"}) {
        TestClient client = running.connect();
        client.post("/v1/chat/completions", concat("{\"n\":2,\"stream\":", stream, ",", hello, "}"));
        REQUIRE(comes_true([&] { return api.engine().n_running() == 2; }));
        client.close();
        n_expected += 2;
        CHECK(comes_true([&] { return api.engine().n_cancelled() == n_expected; }));
    }
}

TEST_CASE("a generation that fails in a stream ends it with an error event") {
    ApiClient api({.error = "the device failed"});
    RunningServer running(api.service());
    TestClient client = running.connect();
    client.post("/v1/completions", R"({"prompt":"x","stream":true})");
    const std::string answer = client.read_to("0\r\n\r\n");
    CHECK(answer.find("data: {\"error\":{\"message\":\"the device failed\"") != std::string::npos);
    CHECK(answer.find("[DONE]") == std::string::npos);
}

TEST_CASE("an assistant's message at the end is gone on with, unless the client says otherwise") {
    ApiClient api;
    const std::string messages = R"("messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Well,<|im_end|>"}])";
    json_of(api.chat("{" + messages + "}"));
    CHECK(api.engine().prompt_text(0) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nWell,<|im_end|>");
    json_of(api.chat("{\"continue_final_message\":false," + messages + "}"));
    CHECK(api.engine().prompt_text(1).ends_with("Well,<|im_end|><|im_end|>\n<|im_start|>assistant\n"));
}

TEST_CASE("biases are given by id, by text, or as pairs") {
    ApiClient api;
    const float never = -std::numeric_limits<float>::infinity();
    json_of(api.complete(R"({"prompt":"x","logit_bias":{"B":2},"logit_bias_type":"tokens"})"));
    json_of(api.complete(R"({"prompt":"x","logit_bias":[[5,1.5],["A",-1],[7,false]]})"));
    CHECK(api.engine().requests()[0].sampling.logit_bias == std::vector<std::pair<TokenId, float>>{{{'B' + 3}, 2.0f}});
    CHECK(api.engine().requests()[1].sampling.logit_bias ==
          std::vector<std::pair<TokenId, float>>{{{5}, 1.5f}, {{'A' + 3}, -1.0f}, {{7}, never}});
}

TEST_CASE("the best of several answers are returned, and all are counted") {
    ApiClient api;
    const Json json = json_of(api.complete(R"({"prompt":["x","y"],"n":1,"best_of":3})"));
    REQUIRE(json["choices"].size() == 2);
    CHECK(json["choices"][1]["index"] == 1);
    CHECK(json["choices"][0]["logprobs"].is_null());
    CHECK(json["usage"]["completion_tokens"] == 6 * 12);
}

TEST_CASE("the stop string that ended an answer is told to those whose API names it") {
    ApiClient api;
    const Json claude = json_of(
        api.send("POST", "/v1/messages", R"({"max_tokens":50,"stop_sequences":["zz",", "],"messages":[{"role":"user","content":"x"}]})"));
    CHECK(claude["stop_reason"] == "stop_sequence");
    CHECK(claude["stop_sequence"] == ", ");
    CHECK(claude["content"][0]["text"] == "Hello");
    const Json native = json_of(api.send("POST", "/completion", R"({"prompt":"x","stop":["world"]})"));
    CHECK(native["stop_type"] == "word");
    CHECK(native["stopping_word"] == "world");
    CHECK(json_of(api.send("POST", "/completion", R"({"prompt":"x"})"))["stop_type"] == "eos");
}

TEST_CASE("errors have the shape of the API that was asked") {
    ApiClient api;
    const HttpResponse claude = api.send("POST", "/v1/messages", R"({"messages":[]})");
    CHECK(claude.status == 400);
    CHECK(Json::parse(claude.body)["type"] == "error");
    CHECK(Json::parse(claude.body)["error"]["type"] == "invalid_request_error");
    CHECK(Json::parse(api.send("POST", "/api/chat", R"({"model":"nope"})").body)["error"].is_string());
}

TEST_CASE("every endpoint of the table is documented, with the ranges that are checked") {
    const Json document = openapi_document("/prefix");
    CHECK(document["servers"][0]["url"] == "/prefix");
    for (const Endpoint& endpoint : endpoints()) {
        CAPTURE(endpoint.path);
        const std::string_view method = endpoint.method;
        const char* key = method == "GET" ? "get" : method == "POST" ? "post" : "delete";
        const auto methods = document["paths"].find(endpoint.path);
        CHECK((methods != document["paths"].end() && methods->contains(key)) == !endpoint.is_hidden);
    }
    const Json& fields = document["paths"]["/v1/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"];
    CHECK(fields["n"]["maximum"] == 128);
    CHECK(fields["grammar"]["enum"] == Json::parse(R"(["",null])"));
}
