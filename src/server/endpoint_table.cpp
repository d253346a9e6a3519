#include "server/endpoint_table.h"

#include "server/anthropic/messages.h"
#include "server/generation/generation_fields.h"
#include "server/native/completion.h"
#include "server/native/tokens.h"
#include "server/ollama/generate.h"
#include "server/ollama/models.h"
#include "server/openai/chat.h"
#include "server/openai/chat_request.h"
#include "server/openai/completion_request.h"
#include "server/openai/completions.h"
#include "server/openai/embeddings.h"
#include "server/openai/rerank.h"
#include "server/openai/responses.h"

namespace quern {
namespace {

std::vector<Endpoint> make_endpoints() {
    const auto shared = generation_field_rules(), samplers = sampler_field_rules();
    const Endpoint chat{
        "/v1/chat/completions", "OpenAI", "Answers a chat.", &answer_chat, {chat_field_rules(), shared, samplers}, {"messages"}};
    const Endpoint completion{
        "/v1/completions", "OpenAI", "Goes on with one or several texts.", &answer_completion, {completion_field_rules(), shared, samplers},
        {"prompt"}};
    const Endpoint embeddings{"/v1/embeddings",          "OpenAI", "Makes vectors of texts.", &answer_embeddings,
                              {embedding_field_rules()}, {"input"}};
    const Endpoint rerank{"/v1/rerank",           "OpenAI", "Orders documents by how well they fit a query.", &answer_rerank,
                          {rerank_field_rules()}, {"query"}};
    const Endpoint native{
        "/completion", "llama.cpp", "Goes on with a text.", &answer_native_completion, {native_field_rules(), shared, samplers},
        {"prompt"}};
    const auto alias = [](Endpoint endpoint, const char* path) {
        endpoint.path = path;
        endpoint.is_alias = true;
        return endpoint;
    };
    return {
        chat,
        alias(chat, "/chat/completions"),
        completion,
        alias(completion, "/v1/engines/copilot-codex/completions"),
        {"/v1/responses", "OpenAI", "Answers a conversation; nothing is kept.", &answer_response, {response_field_rules()}, {"input"}},
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
         {chat_field_rules()},
         {"messages"}},
        {"/v1/messages", "Anthropic", "Answers a chat.", &answer_messages, {message_field_rules()}, {"messages"}},
        {"/v1/messages/count_tokens",
         "Anthropic",
         "Counts the tokens of a chat's prompt.",
         &count_message_tokens,
         {message_field_rules()},
         {"messages"}},
        native,
        alias(native, "/completions"),
        {"/infill",
         "llama.cpp",
         "Fills in between two texts.",
         &answer_infill,
         {infill_field_rules(), native_field_rules(), shared, samplers},
         {}},
        {"/tokenize", "llama.cpp", "The tokens of a text.", &answer_tokenize, {tokenize_field_rules()}, {"content"}},
        {"/detokenize", "llama.cpp", "The text of tokens.", &answer_detokenize, {detokenize_field_rules()}, {"tokens"}},
        {"/apply-template", "llama.cpp", "The prompt that a chat becomes.", &answer_apply_template, {chat_field_rules()}, {"messages"}},
        {"/extras/tokenize",
         "llama-cpp-python",
         "The tokens of a text.",
         &answer_extras_tokenize,
         {extras_tokenize_field_rules()},
         {"input"}},
        {"/extras/tokenize/count",
         "llama-cpp-python",
         "How many tokens a text has.",
         &answer_extras_count,
         {extras_tokenize_field_rules()},
         {"input"}},
        {"/extras/detokenize",
         "llama-cpp-python",
         "The text of tokens.",
         &answer_extras_detokenize,
         {detokenize_field_rules()},
         {"tokens"}},
        {"/api/chat", "Ollama", "Answers a chat; streams unless told not to.", &answer_ollama_chat, {ollama_chat_field_rules()}, {"model"}},
        {"/api/generate",
         "Ollama",
         "Answers a prompt; streams unless told not to.",
         &answer_ollama_generate,
         {ollama_generate_field_rules()},
         {"model"}},
        {"/api/show", "Ollama", "What is known of a model.", &answer_ollama_show, {ollama_show_field_rules()}, {}},
        {"/api/embed", "Ollama", "Makes vectors of texts.", &answer_ollama_embed, {ollama_embed_field_rules()}, {"input"}},
    };
}

}  // namespace

const std::vector<Endpoint>& endpoints() {
    static const std::vector<Endpoint> all = make_endpoints();
    return all;
}

}  // namespace quern
