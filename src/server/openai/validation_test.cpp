// Which request fields are refused, and that the refusal names them.
#include <doctest/doctest.h>

#include "server/openai/api_client_test.h"

using namespace quern;

namespace {

struct Refusal {
    const char* fields;
    const char* param;
    const char* code = "invalid_value";
};

void check_refused(const HttpResponse& response, const Refusal& expected) {
    CAPTURE(expected.fields);
    CAPTURE(response.body);
    CHECK(response.status == 400);
    const Json error = Json::parse(response.body)["error"];
    CHECK(error["type"] == "invalid_request_error");
    CHECK(error["param"] == expected.param);
    CHECK(error["code"] == expected.code);
    CHECK(error["message"].get<std::string>().find(expected.param) != std::string::npos);
}

constexpr Refusal shared[] = {
    {R"("temperature":"hot")", "temperature", "invalid_type"},
    {R"("temperature":true)", "temperature", "invalid_type"},
    {R"("temperature":-0.1)", "temperature"},
    {R"("temperature":2.1)", "temperature"},
    {R"("top_p":1.1)", "top_p"},
    {R"("top_p":[1])", "top_p", "invalid_type"},
    {R"("top_k":-2)", "top_k"},
    {R"("top_k":1.5)", "top_k", "invalid_type"},
    {R"("min_p":2)", "min_p"},
    {R"("presence_penalty":3)", "presence_penalty"},
    {R"("frequency_penalty":-3)", "frequency_penalty"},
    {R"("repeat_penalty":0)", "repeat_penalty"},
    {R"("repeat_penalty":1.1,"repetition_penalty":1.2)", "repeat_penalty"},
    {R"("seed":"x")", "seed", "invalid_type"},
    {R"("seed":18446744073709551615)", "seed"},
    {R"("seed":0.5)", "seed", "invalid_type"},
    {R"("max_tokens":-2)", "max_tokens"},
    {R"("max_tokens":"5")", "max_tokens", "invalid_type"},
    {R"("max_tokens":99999999999)", "max_tokens"},
    {R"("max_tokens":5,"max_completion_tokens":6)", "max_tokens"},
    {R"("n":0)", "n"},
    {R"("n":129)", "n"},
    {R"("n":"1")", "n", "invalid_type"},
    {R"("stop":"")", "stop"},
    {R"("stop":["a",""])", "stop"},
    {R"("stop":["a",5])", "stop", "invalid_type"},
    {R"("stop":{})", "stop", "invalid_type"},
    {R"("stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])", "stop"},
    {R"("stream":1)", "stream", "invalid_type"},
    {R"("stream":true,"stream_options":true)", "stream_options", "invalid_type"},
    {R"("stream":true,"stream_options":{"include_usage":"yes"})", "stream_options.include_usage", "invalid_type"},
    {R"("stream_options":{"include_usage":true})", "stream_options"},
    {R"("logit_bias":5)", "logit_bias", "invalid_type"},
    {R"("logit_bias":[[1]])", "logit_bias"},
    {R"("logit_bias":[[1,true]])", "logit_bias", "invalid_type"},
    {R"("logit_bias_type":"words")", "logit_bias_type"},
    {R"("logit_bias":{"x":1})", "logit_bias"},
    {R"("logit_bias":{"259":1})", "logit_bias"},
    {R"("logit_bias":{"-1":1})", "logit_bias"},
    {R"("logit_bias":{"5":"1"})", "logit_bias", "invalid_type"},
    {R"("logit_bias":{"5":101})", "logit_bias"},
    {R"("model":5)", "model", "invalid_type"},
    {R"("grammar":"root ::= x")", "grammar", "unsupported_parameter"},
    {R"("json_schema":{})", "json_schema", "unsupported_parameter"},
    {R"("ignore_eos":"no")", "ignore_eos", "invalid_type"},
    {R"("max_tokens":99999999999999999999999)", "max_tokens"},
    {R"("seed":-1e300)", "seed"},
    {R"("n":2,"n_cmpl":3)", "n"},
    {R"("n_probs":21)", "n_probs"},
    {R"("n_probs":true)", "n_probs", "invalid_type"},
    {R"("n_keep":"all")", "n_keep", "invalid_type"},
    {R"("id_slot":"first")", "id_slot", "invalid_type"},
    {R"("id_slot":-2)", "id_slot"},
    {R"("timings_per_token":1)", "timings_per_token", "invalid_type"},
    {R"("min_keep":2)", "min_keep", "unsupported_parameter"},
    {R"("t_max_predict_ms":"soon")", "t_max_predict_ms", "invalid_type"},
    {R"("t_max_predict_ms":-2)", "t_max_predict_ms"},
    {R"("post_sampling_probs":true)", "post_sampling_probs", "unsupported_parameter"},
    {R"("adaptive_target":0.5)", "adaptive_target", "unsupported_parameter"},
    {R"("return_tokens":true)", "return_tokens", "unsupported_parameter"},
    {R"("response_format":{"type":"json_object"})", "response_format", "unsupported_parameter"},
};

}  // namespace

TEST_CASE("shared fields of the wrong type or range are a 400 that names them, on both routes") {
    ApiClient api;
    for (const Refusal& refusal : shared) {
        check_refused(api.complete(concat("{\"prompt\":\"x\",", refusal.fields, "}")), refusal);
        check_refused(api.chat(concat(R"({"messages":[{"role":"user","content":"x"}],)", refusal.fields, "}")), refusal);
    }
    CHECK(api.engine().requests().empty());
}

TEST_CASE("completions refuse what they cannot do") {
    ApiClient api;
    constexpr Refusal refusals[] = {
        {R"("prompt":5)", "prompt", "invalid_type"},
        {R"("prompt":{})", "prompt", "invalid_type"},
        {R"("prompt":[])", "prompt"},
        {R"("prompt":[[]])", "prompt[0]"},
        {R"("prompt":["a",5])", "prompt[1]", "invalid_type"},
        {R"("prompt":[5,"a"])", "prompt", "invalid_type"},
        {R"("prompt":[-1])", "prompt"},
        {R"("prompt":[259])", "prompt"},
        {R"("prompt":[99999999999999999999])", "prompt"},
        {R"("prompt":[1.5])", "prompt", "invalid_type"},
        {R"("prompt":"x","suffix":"y")", "suffix", "unsupported_parameter"},
        {R"("prompt":"x","best_of":2,"stream":true)", "best_of"},
        {R"("prompt":"x","best_of":129)", "best_of"},
        {R"("prompt":["x","y"],"best_of":100)", "best_of"},
        {R"("prompt":"x","n":2,"best_of":1)", "best_of"},
        {R"("prompt":"x","logprobs":6)", "logprobs"},
        {R"("prompt":"x","logprobs":true)", "logprobs", "invalid_type"},
        {R"("prompt":"x","suffix":5)", "suffix", "invalid_type"},
        {R"("prompt":"x","echo":"y")", "echo", "invalid_type"},
        {R"("prompt":"x","logprobs":2,"n_probs":3)", "n_probs"},
        {R"("prompt":["x","y"],"n":100)", "n"},
    };
    for (const Refusal& refusal : refusals) check_refused(api.complete(concat("{", refusal.fields, "}")), refusal);
}

TEST_CASE("chat refuses what it cannot do") {
    ApiClient api;
    constexpr Refusal refusals[] = {
        {R"("messages":"x")", "messages", "invalid_type"},
        {R"("messages":[])", "messages"},
        {R"("messages":["x"])", "messages[0]", "invalid_type"},
        {R"("messages":[{"content":"x"}])", "messages[0].role"},
        {R"("messages":[{"role":"user","content":"x"},{"role":"king","content":"x"}])", "messages[1].role"},
        {R"("messages":[{"role":1,"content":"x"}])", "messages[0].role", "invalid_type"},
        {R"("messages":[{"role":"user"}])", "messages[0].content"},
        {R"("messages":[{"role":"user","content":null}])", "messages[0].content"},
        {R"("messages":[{"role":"user","content":5}])", "messages[0].content", "invalid_type"},
        {R"("messages":[{"role":"user","content":[5]}])", "messages[0].content[0]", "invalid_type"},
        {R"("messages":[{"role":"user","content":[{"type":"text"}]}])", "messages[0].content[0]"},
        {R"("messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:,"}}]}])",
         "messages[0].content[1]", "unsupported_parameter"},
    };
    for (const Refusal& refusal : refusals) check_refused(api.chat(concat("{", refusal.fields, "}")), refusal);
    check_refused(api.chat("{}"), {"", "messages"});
    constexpr Refusal others[] = {
        {R"("max_tokens":0)", "max_tokens"},
        {R"("logprobs":1)", "logprobs", "invalid_type"},
        {R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
        {R"("top_logprobs":1)", "top_logprobs"},
        {R"("tools":[{"type":"function","function":{"name":"f"}}])", "tools", "unsupported_parameter"},
        {R"("tool_choice":"required")", "tool_choice", "unsupported_parameter"},
        {R"("functions":[{"name":"f"}])", "functions", "unsupported_parameter"},
        {R"("response_format":{"type":"json_object"})", "response_format", "unsupported_parameter"},
        {R"("modalities":["text","audio"])", "modalities", "unsupported_parameter"},
        {R"("audio":{})", "audio", "unsupported_parameter"},
        {R"("chat_template_kwargs":[])", "chat_template_kwargs", "invalid_type"},
        {R"("chat_template_kwargs":{"messages":[]})", "chat_template_kwargs"},
        {R"("add_generation_prompt":1)", "add_generation_prompt", "invalid_type"},
        {R"("continue_final_message":true)", "continue_final_message"},
        {R"("reasoning_effort":"enormous")", "reasoning_effort"},
        {R"("logprobs":true,"top_logprobs":2,"n_probs":3)", "n_probs"},
    };
    for (const Refusal& refusal : others)
        check_refused(api.chat(concat(R"({"messages":[{"role":"user","content":"x"}],)", refusal.fields, "}")), refusal);
}

TEST_CASE("null is absent, and fields without effect are taken") {
    ApiClient api;
    CHECK(
        api.chat(
               R"({"messages":[{"role":"user","content":"x"}],"model":null,"temperature":null,"top_p":null,"n":null,"stop":null,"seed":null,"stream":null,
        "stream_options":null,"max_tokens":null,"logit_bias":null,"tools":null,"response_format":null,"logprobs":null,"user":"me","metadata":{"a":"b"},
        "store":false,"service_tier":"auto","parallel_tool_calls":true,"reasoning_effort":"low","tool_choice":"auto","tools":[],
        "response_format":{"type":"text"},"modalities":["text"],"unknown_field":[1,2],"mirostat":0,"typical_p":1.0})")
            .status == 200);
    CHECK(api.complete(R"({"prompt":"x","suffix":null,"best_of":1,"n":1,"echo":null,"logprobs":null,"max_tokens":16.0,"suffix":""})")
              .status == 200);
}

TEST_CASE("numbers in refusals are written as in JSON") {
    ApiClient api;
    const auto message = [&](const char* fields) {
        const HttpResponse response = api.complete(concat("{\"prompt\":\"x\",", fields, "}"));
        return Json::parse(response.body)["error"]["message"].get<std::string>();
    };
    CHECK(message(R"("max_tokens":-2)") == "Invalid 'max_tokens': must be from -1 to 2147483647, but is -2.");
    CHECK(message(R"("top_k":-1000000)") == "Invalid 'top_k': must be from -1 to 2147483647, but is -1000000.");
    CHECK(message(R"("temperature":2.5)") == "Invalid 'temperature': must be from 0 to 2, but is 2.5.");
    CHECK(message(R"("repeat_penalty":0)") == "Invalid 'repeat_penalty': must be from 0.01 to 100, but is 0.");
    CHECK(message(R"("max_tokens":99999999999999999999999)") == "Invalid 'max_tokens': is too large.");
    CHECK(message(R"("top_k":-99999999999999999999999)") == "Invalid 'top_k': is too small.");
}

TEST_CASE("llama.cpp's fields are honoured on OpenAI's routes") {
    ApiClient api;
    const Json completed = Json::parse(api.complete(R"({"prompt":"x","n_probs":3,"n_cmpl":2,"id_slot":-1,"min_keep":0})").body);
    CHECK(completed["choices"].size() == 2);
    CHECK(completed["choices"][0]["logprobs"]["top_logprobs"][0].size() == 3);
    const Json chat = Json::parse(api.chat(R"({"messages":[{"role":"user","content":"x"}],"n_probs":2})").body);
    CHECK(chat["choices"][0]["logprobs"]["content"][0]["top_logprobs"].size() == 2);
    CHECK(api.complete(R"({"prompt":"x","response_format":{"type":"text"},"n_probs":0})").status == 200);
}

TEST_CASE("responses name what they cannot do, and include what asks for nothing here") {
    ApiClient api;
    const auto respond = [&](const std::string& fields) {
        return api.send("POST", "/v1/responses", concat("{\"input\":\"x\",", fields, "}"));
    };
    constexpr Refusal refusals[] = {
        {R"("max_output_tokens":15)", "max_output_tokens"},
        {R"("include":["everything"])", "include"},
        {R"("include":[5])", "include", "invalid_type"},
    };
    for (const Refusal& refusal : refusals) check_refused(respond(refusal.fields), refusal);
    CHECK(respond(R"("max_output_tokens":16,"include":["reasoning.encrypted_content","file_search_call.results"])").status == 200);
    const HttpResponse counted = api.send("POST", "/v1/responses/input_tokens", R"({"input":"x","instructions":"y"})");
    CHECK(Json::parse(counted.body)["input_tokens"] > 2);
}

TEST_CASE("messages are refused as Anthropic's API refuses them") {
    ApiClient api;
    const auto ask = [&](const std::string& fields, const char* role = "user") {
        return api.send("POST", "/v1/messages",
                        concat(R"({"max_tokens":5,"messages":[{"role":")", role, R"(","content":"x"}])", fields, "}"));
    };
    const auto refuses = [](const HttpResponse& response, const char* name) {
        CAPTURE(response.body);
        return response.status == 400 && Json::parse(response.body)["error"]["message"].get<std::string>().find(name) != std::string::npos;
    };
    CHECK(refuses(ask(R"(,"temperature":1.5)"), "'temperature': must be from 0 to 1"));
    CHECK(refuses(ask("", "system"), "messages[0].role"));
    CHECK(refuses(ask(R"(,"thinking":{"type":"enabled","budget_tokens":2048})"), "'thinking'"));
    CHECK(refuses(ask(R"(,"thinking":{"type":"enabled","budget_tokens":5})"), "thinking.budget_tokens"));
    CHECK(refuses(ask(R"(,"thinking":{"type":"enabled","budget_tokens":"many"})"), "thinking.budget_tokens"));
    CHECK(refuses(ask(R"(,"thinking":{"type":"some"})"), "thinking.type"));
    CHECK(refuses(ask(R"(,"thinking":{"type":5})"), "thinking.type"));
    CHECK(refuses(ask(R"(,"thinking":{})"), "thinking.type"));
    CHECK(refuses(ask(R"(,"thinking":true)"), "'thinking'"));
    for (const char* type : {"disabled", "adaptive"}) CHECK(ask(concat(R"(,"thinking":{"type":")", type, "\"}")).status == 200);
    CHECK(ask(R"(,"temperature":1.0)").status == 200);
}

TEST_CASE("filling in without tokens for it does not blame a field that was not sent") {
    ApiClient api;
    const HttpResponse response = api.send("POST", "/infill", R"({"input_prefix":"x","input_suffix":"y"})");
    CHECK(response.status == 400);
    const Json error = Json::parse(response.body)["error"];
    CHECK(error["param"] == nullptr);
    CHECK(error["message"].get<std::string>().find("'suffix'") == std::string::npos);
}
