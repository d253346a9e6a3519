#include "server/endpoint_table.h"

#include "base/version.h"
#include "server/anthropic/messages.h"
#include "server/generation/generation_fields.h"
#include "server/generation/wording.h"
#include "server/native/adapters.h"
#include "server/native/completion.h"
#include "server/native/metrics_page.h"
#include "server/native/status.h"
#include "server/native/tokens.h"
#include "server/ollama/generate.h"
#include "server/ollama/models.h"
#include "server/openai/chat.h"
#include "server/openai/chat_request.h"
#include "server/openai/completion_request.h"
#include "server/openai/completions.h"
#include "server/openai/embeddings.h"
#include "server/openai/models.h"
#include "server/openai/rerank.h"
#include "server/openai/responses.h"
#include "server/openapi.h"

namespace quern {
namespace {

using AnswerFunction = decltype(Endpoint::answer);

Endpoint get(const char* path, const char* tag, const char* summary, AnswerFunction answer, const char* schema) {
    return {.path = path, .tag = tag, .summary = summary, .answer = answer, .schema = schema, .method = "GET"};
}

Endpoint reading_files(Endpoint endpoint) {
    endpoint.reads_files = true;
    return endpoint;
}

Endpoint page(const char* path, const char* summary, AnswerFunction answer, const char* content_type) {
    return {.path = path, .tag = "Server", .summary = summary, .answer = answer, .method = "GET", .content_type = content_type};
}

Endpoint alias(Endpoint endpoint, const char* path) {
    endpoint.path = path;
    endpoint.is_hidden = true;
    return endpoint;
}

Endpoint with_query(Endpoint endpoint, std::vector<FieldRule> query) {
    endpoint.query = std::move(query);
    return endpoint;
}

void add_openai(std::vector<Endpoint>& all) {
    const auto shared = generation_field_rules(), samplers = sampler_field_rules();
    const Endpoint chat{"/v1/chat/completions", "OpenAI",         "Answers a chat.", &answer_chat, {chat_field_rules(), shared, samplers},
                        {"messages"},           "ChatCompletion", event_stream};
    const Endpoint completion{"/v1/completions",
                              "OpenAI",
                              "Goes on with one or several texts.",
                              &answer_completion,
                              {completion_field_rules(), shared, samplers},
                              {},
                              "Completion",
                              event_stream};
    const Endpoint embeddings{"/v1/embeddings", "OpenAI",       "Makes vectors of texts.", &answer_embeddings, {embedding_field_rules()},
                              {"input"},        "EmbeddingList"};
    const Endpoint rerank{"/v1/rerank", "OpenAI", "Orders documents by how well they fit a query.", &answer_rerank, {rerank_field_rules()},
                          {"query"},    "Ranking"};
    const Endpoint list = get(
        "/v1/models", "OpenAI", "The models that are served.",
        [](ApiContext& api, const HttpRequest&, const Waker&) -> Answer { return list_models(api.models); }, "ModelList");
    const Endpoint load{
        "/v1/models/load", "Models", "Loads a model, or waits until it is loaded. Needs a key.", &load_model_now, {model_name_rules()},
        {"model"},         "Model"};
    const Endpoint unload{"/v1/models/unload", "Models", "Takes a model out of memory. Needs a key.", &unload_model, {model_name_rules()},
                          {"model"},           "Model"};
    all.insert(all.end(), {list,
                           alias(list, "/models"),
                           load,
                           alias(load, "/models/load"),
                           unload,
                           alias(unload, "/models/unload"),
                           get(
                               "/v1/models/{id}", "OpenAI", "A model.",
                               [](ApiContext& api, const HttpRequest& request, const Waker&) -> Answer {
                                   return describe_model(api.models, request.parameter);
                               },
                               "Model"),
                           chat,
                           alias(chat, "/chat/completions"),
                           completion,
                           alias(completion, "/v1/engines/copilot-codex/completions"),
                           embeddings,
                           alias(embeddings, "/embeddings"),
                           rerank,
                           alias(rerank, "/rerank"),
                           alias(rerank, "/reranking"),
                           alias(rerank, "/v1/reranking"),
                           {"/v1/chat/completions/input_tokens",
                            "OpenAI",
                            "Counts the tokens of a chat's prompt.",
                            &count_chat_tokens,
                            {chat_field_rules(), shared, samplers},
                            {"messages"},
                            "InputTokens"}});
}

void add_responses(std::vector<Endpoint>& all) {
    const Endpoint response{
        "/v1/responses", "OpenAI",    "Answers a conversation; nothing is kept.", &answer_response, {response_field_rules()}, {"input"},
        "Response",      event_stream};
    all.insert(all.end(), {response,
                           alias(response, "/responses"),
                           {"/v1/responses/input_tokens",
                            "OpenAI",
                            "Counts the tokens of a conversation's prompt.",
                            &count_response_tokens,
                            {response_field_rules()},
                            {"input"},
                            "InputTokens"}});
}

void add_anthropic(std::vector<Endpoint>& all) {
    all.insert(
        all.end(),
        {{"/v1/messages", "Anthropic", "Answers a chat.", &answer_messages, {message_field_rules()}, {"messages"}, "Message", event_stream},
         {"/v1/messages/count_tokens",
          "Anthropic",
          "Counts the tokens of a chat's prompt.",
          &count_message_tokens,
          {message_field_rules()},
          {"messages"},
          "TokenCount"}});
}

void add_llama(std::vector<Endpoint>& all) {
    const auto shared = generation_field_rules(), samplers = sampler_field_rules();
    const Endpoint native{"/completion",
                          "llama.cpp",
                          "Goes on with a text.",
                          &answer_native_completion,
                          {native_field_rules(), shared, samplers},
                          {"prompt"},
                          "NativeCompletion",
                          event_stream};
    const FieldRule model{"model", FieldKind::text};
    all.insert(
        all.end(),
        {native,
         alias(native, "/completions"),
         {"/infill",
          "llama.cpp",
          "Fills in between two texts.",
          &answer_infill,
          {infill_field_rules(), native_field_rules(), shared, samplers},
          {},
          "NativeCompletion",
          event_stream},
         {"/embedding",
          "llama.cpp",
          "Makes vectors of texts.",
          &answer_native_embeddings,
          {native_embedding_field_rules()},
          {},
          "NativeVectors"},
         {"/tokenize", "llama.cpp", "The tokens of a text.", &answer_tokenize, {tokenize_field_rules()}, {"content"}, "Tokens"},
         {"/detokenize", "llama.cpp", "The text of tokens.", &answer_detokenize, {detokenize_field_rules()}, {"tokens"}, "Content"},
         {"/apply-template",
          "llama.cpp",
          "The prompt that a chat becomes.",
          &answer_apply_template,
          {chat_field_rules(), shared, samplers},
          {"messages"},
          "Prompt"},
         with_query(
             get(
                 "/props", "llama.cpp", "What is known of a model.",
                 [](ApiContext& api, const HttpRequest& request, const Waker&) -> Answer { return describe_properties(api, request); },
                 "Properties"),
             {model}),
         with_query(
             get(
                 "/slots", "llama.cpp", "What runs now.",
                 [](ApiContext& api, const HttpRequest& request, const Waker&) -> Answer { return list_slots(api, request); }, "Slots"),
             {model, {"fail_on_no_slot", FieldKind::text}}),
         with_query({.path = "/slots/{id}",
                     .tag = "llama.cpp",
                     .summary = "Refuses: slots keep nothing of their own here.",
                     .answer = &change_slot,
                     .schema = "Slot"},
                    {{"action", FieldKind::text}}),
         with_query(get(
                        "/lora-adapters", "llama.cpp", "The LoRA adapters of a model and their scales.",
                        [](ApiContext& api, const HttpRequest& request, const Waker&) -> Answer { return list_adapters(api, request); },
                        "Adapters"),
                    {model}),
         with_query(
             {.path = "/lora-adapters",
              .tag = "llama.cpp",
              .summary = "Sets the scales for requests that name none: 0 for those that are left out. Needs a key when other machines "
                         "can reach the server.",
              .answer = [](ApiContext& api, const HttpRequest& request, const Waker&) -> Answer { return set_adapters(api, request); },
              .fields = {adapter_field_rules()},
              .required = {"id", "scale"},
              .schema = "Success",
              .takes_list = true},
             {model}),
         {"/extras/tokenize",
          "llama-cpp-python",
          "The tokens of a text.",
          &answer_extras_tokenize,
          {extras_tokenize_field_rules()},
          {"input"},
          "TokenIds"},
         {"/extras/tokenize/count",
          "llama-cpp-python",
          "How many tokens a text has.",
          &answer_extras_count,
          {extras_tokenize_field_rules()},
          {"input"},
          "Count"},
         {"/extras/detokenize",
          "llama-cpp-python",
          "The text of tokens.",
          &answer_extras_detokenize,
          {detokenize_field_rules()},
          {"tokens"},
          "Text"}});
}

void add_ollama(std::vector<Endpoint>& all) {
    all.insert(all.end(),
               {{"/api/chat",
                 "Ollama",
                 "Answers a chat; streams unless told not to.",
                 &answer_ollama_chat,
                 {ollama_chat_field_rules()},
                 {},
                 "OllamaChat",
                 json_lines},
                {"/api/generate",
                 "Ollama",
                 "Answers a prompt; streams unless told not to.",
                 &answer_ollama_generate,
                 {ollama_generate_field_rules()},
                 {},
                 "OllamaText",
                 json_lines},
                {"/api/show", "Ollama", "What is known of a model.", &answer_ollama_show, {ollama_show_field_rules()}, {}, "OllamaShow"},
                {"/api/embed",
                 "Ollama",
                 "Makes vectors of texts.",
                 &answer_ollama_embed,
                 {ollama_embed_field_rules()},
                 {"input"},
                 "OllamaVectors"},
                {"/api/embeddings",
                 "Ollama",
                 "Makes a vector of a text.",
                 &answer_ollama_old_embed,
                 {ollama_old_embed_field_rules()},
                 {},
                 "OllamaVector"},
                reading_files(get(
                    "/api/tags", "Ollama", "The models that are served.",
                    [](ApiContext& api, const HttpRequest&, const Waker&) -> Answer { return ollama_tags(api); }, "OllamaModels")),
                reading_files(get(
                    "/api/ps", "Ollama", "The models in memory.",
                    [](ApiContext& api, const HttpRequest&, const Waker&) -> Answer { return ollama_running(api); }, "OllamaModels")),
                get(
                    "/api/version", "Ollama", "The version of Ollama's API.",
                    [](ApiContext&, const HttpRequest&, const Waker&) -> Answer { return ollama_version(); }, "Version")});
}

struct KnownRoute {
    const char *method, *path, *why;
};

/// Of other servers, and not here: a client hears so, rather than that there is no such URL.
constexpr KnownRoute known_routes[] = {
    {"POST", "/models", "models are not downloaded; name their files with --model or in the configuration file"},
    {"DELETE", "/models", "models are not deleted; POST /v1/models/unload takes one out of memory"},
    {"POST", "/v1/audio/transcriptions", "no model here hears"},
    {"POST", "/audio/transcriptions", "no model here hears"},
};

void add_known(std::vector<Endpoint>& all) {
    for (const KnownRoute& route : known_routes)
        all.push_back({.path = route.path,
                       .tag = "Server",
                       .summary = route.why,
                       .answer = [&route](ApiContext&, const HttpRequest&, const Waker&) -> Answer {
                           throw ApiError(concat(route.method, " ", route.path, " is not supported: ", route.why),
                                          {.status = 501, .code = "not_supported", .headers = {{"x-should-retry", "false"}}});
                       },
                       .method = route.method,
                       .is_hidden = true});
}

void add_server(std::vector<Endpoint>& all) {
    const Endpoint health = get(
        "/health", "Server", "Answers while the server runs.",
        [](ApiContext&, const HttpRequest&, const Waker&) -> Answer { return HttpResponse{.body = R"({"status":"ok"})"}; }, "Health");
    const Endpoint docs = page(
        "/docs", "This document as a page.",
        [](ApiContext&, const HttpRequest&, const Waker&) -> Answer {
            return HttpResponse{.content_type = "text/html; charset=utf-8", .body = documentation_page()};
        },
        "text/html");
    all.insert(
        all.end(),
        {health, alias(health, "/v1/health"), alias(health, "/healthz"),
         get(
             "/ready", "Server", "Answers 200 once a model is loaded.",
             [](ApiContext& api, const HttpRequest&, const Waker&) -> Answer { return readiness(api); }, "Health"),
         get(
             "/version", "Server", "The version of this program.",
             [](ApiContext&, const HttpRequest&, const Waker&) -> Answer {
                 return json_response({{"version", program_version()}});
             },
             "Version"),
         page(
             "/metrics", "Counts and times for Prometheus.",
             [](ApiContext& api, const HttpRequest&, const Waker&) -> Answer { return list_metrics(api); }, "text/plain"),
         get(
             "/openapi.json", "Server", "This document.",
             [](ApiContext& api, const HttpRequest&, const Waker&) -> Answer { return json_response(openapi_document(api.root_path)); },
             "Document"),
         docs, alias(docs, "/redoc"),
         page(
             "/", "Says that the server runs.",
             [](ApiContext&, const HttpRequest&, const Waker&) -> Answer {
                 return HttpResponse{.content_type = "text/plain; charset=utf-8",
                                     .body = "quern is running; its API is described at docs\n"};
             },
             "text/plain")});
}

struct Group {
    void (*add)(std::vector<Endpoint>& all);
    ErrorShape errors;
};

constexpr Group groups[] = {
    {&add_openai, ErrorShape::openai}, {&add_responses, ErrorShape::responses}, {&add_anthropic, ErrorShape::anthropic},
    {&add_llama, ErrorShape::openai},  {&add_ollama, ErrorShape::ollama},       {&add_server, ErrorShape::openai},
    {&add_known, ErrorShape::openai},
};

std::vector<Endpoint> make_endpoints() {
    std::vector<Endpoint> all;
    for (const Group& group : groups) {
        const size_t first = all.size();
        group.add(all);
        for (size_t i = first; i < all.size(); ++i) all[i].errors = group.errors;
    }
    return all;
}

}  // namespace

const std::vector<Endpoint>& endpoints() {
    static const std::vector<Endpoint> all = make_endpoints();
    return all;
}

}  // namespace quern
