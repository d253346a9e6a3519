#include "server/native/tokens.h"

#include "base/utf8.h"
#include "server/generation/prompt_reader.h"
#include "server/generation/wording.h"
#include "server/openai/chat_request.h"
#include "server/openai/response_request.h"

namespace quern {
namespace {

using enum FieldKind;

constexpr FieldRule tokenize_rules[] = {
    {"model", text}, {"content", text}, {"add_special", boolean}, {"parse_special", boolean}, {"with_pieces", boolean},
};
constexpr FieldRule detokenize_rules[] = {{"model", text}, {"tokens", any}};
constexpr FieldRule extras_rules[] = {{"model", text}, {"input", text}};

Json ids_json(const std::vector<TokenId>& tokens) {
    Json ids = Json::array();
    for (const TokenId token : tokens) ids.push_back(token.value);
    return ids;
}

/// A part of a character is no JSON text: its bytes.
Json piece_json(const std::string& bytes) {
    if (valid_utf8_prefix(bytes) == bytes.size()) return bytes;
    Json list = Json::array();
    for (const char byte : bytes) list.push_back(static_cast<uint8_t>(byte));
    return list;
}

std::string required_text(const RequestFields& fields, const char* name) {
    const auto value = fields.text(name);
    if (!value) refuse_value(name, "is missing");
    return *value;
}

Answer tokenize(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {tokenize_rules});
    const Tokenizer& tokenizer = asked.model->engine->tokenizer();
    const std::vector<TokenId> tokens =
        tokenizer.tokenize(required_text(fields, "content"),
                           {.add_special = fields.flag("add_special", false), .parse_special = fields.flag("parse_special", true)});
    if (!fields.flag("with_pieces", false)) return json_response({{"tokens", ids_json(tokens)}});
    Json list = Json::array();
    for (const TokenId token : tokens) list.push_back({{"id", token.value}, {"piece", piece_json(tokenizer.token_bytes(token, true))}});
    return json_response({{"tokens", std::move(list)}});
}

std::string detokenize_body(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {detokenize_rules});
    const Json* list = fields.find("tokens");
    if (!list) refuse_value("tokens", "is missing");
    if (!list->is_array()) refuse_type("tokens", "an array of token ids", *list);
    const Engine& engine = *asked.model->engine;
    return repair_utf8(engine.tokenizer().detokenize(read_tokens(*list, "tokens", engine.info().n_vocab), true));
}

Answer detokenize(const ModelRequest& asked) { return json_response({{"content", detokenize_body(asked)}}); }
Answer extras_detokenize(const ModelRequest& asked) { return json_response({{"text", detokenize_body(asked)}}); }

std::vector<TokenId> extras_tokens(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {extras_rules});
    return asked.model->engine->tokenizer().tokenize(required_text(fields, "input"), {.add_special = true, .parse_special = true});
}

Answer extras_tokenize(const ModelRequest& asked) { return json_response({{"tokens", ids_json(extras_tokens(asked))}}); }
Answer extras_count(const ModelRequest& asked) { return json_response({{"count", extras_tokens(asked).size()}}); }

Answer apply_template(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {generation_field_rules(), sampler_field_rules(), chat_field_rules()});
    return json_response({{"prompt", render_chat_prompt(*asked.model, read_chat_prompt(fields))}});
}

HttpResponse token_count(const ModelRequest& asked, ChatPrompt prompt) {
    return json_response(
        {{"object", "response.input_tokens"}, {"input_tokens", tokenize_chat_prompt(*asked.model, std::move(prompt)).size()}});
}

Answer count_chat(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {generation_field_rules(), sampler_field_rules(), chat_field_rules()});
    return token_count(asked, read_chat_prompt(fields));
}

Answer count_response(const ModelRequest& asked) {
    return token_count(asked, read_response_request(asked.body, *asked.model->engine).prompt);
}

}  // namespace

std::span<const FieldRule> tokenize_field_rules() { return tokenize_rules; }
std::span<const FieldRule> detokenize_field_rules() { return detokenize_rules; }
std::span<const FieldRule> extras_tokenize_field_rules() { return extras_rules; }

Answer answer_tokenize(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &tokenize);
}
Answer answer_detokenize(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &detokenize);
}
Answer answer_apply_template(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &apply_template);
}
Answer answer_extras_tokenize(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &extras_tokenize);
}
Answer answer_extras_count(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &extras_count);
}
Answer answer_extras_detokenize(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &extras_detokenize);
}
Answer count_chat_tokens(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &count_chat);
}
Answer count_response_tokens(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &count_response);
}

}  // namespace quern
