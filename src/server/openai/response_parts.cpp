#include "server/openai/response_parts.h"

#include <algorithm>
#include <iomanip>

#include "base/utf8.h"
#include "server/http/random_id.h"

namespace quern {
namespace {

Json byte_list(std::string_view bytes) {
    Json list = Json::array();
    for (const char byte : bytes) list.push_back(static_cast<uint8_t>(byte));
    return list;
}

// Control tokens have a name here, although they never show in text.
std::string token_name(const Tokenizer& tokenizer, TokenId token) { return tokenizer.token_bytes(token, true); }

Json chat_entry(std::string_view bytes, float logprob) {
    return {{"token", repair_utf8(bytes)}, {"logprob", logprob}, {"bytes", byte_list(bytes)}};
}

// A part of a character is no JSON string; OpenAI writes such tokens as bytes:\xe5\x86.
std::string completion_token(std::string_view bytes) {
    if (valid_utf8_prefix(bytes) == bytes.size()) return std::string(bytes);
    std::ostringstream out;
    out << "bytes:" << std::hex << std::setfill('0');
    for (const char byte : bytes) out << "\\x" << std::setw(2) << static_cast<int>(static_cast<uint8_t>(byte));
    return out.str();
}

}  // namespace

Json ResponseHeader::json() const {
    return {{"id", id},
            {"object", object},
            {"created", created},
            {"model", model->id},
            {"system_fingerprint", model->fingerprint},
            {"choices", Json::array()}};
}

std::string ResponseHeader::chunk(std::string_view choice, bool with_null_usage) const {
    std::string text = "data: ";
    text.reserve(before_choices.size() + choice.size() + 32);
    return text.append(before_choices).append(choice).append(with_null_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
}

ResponseHeader make_header(ModelLease model, std::string_view id_prefix, const char* object) {
    ResponseHeader header{random_id(id_prefix), object, seconds_now(), std::move(model), {}};
    header.before_choices = dump(header.json());
    header.before_choices.erase(header.before_choices.size() - 2);  // "]}"
    return header;
}

Json usage_json(const ChoiceSet& choices) {
    return {{"prompt_tokens", choices.n_prompt_tokens()},
            {"completion_tokens", choices.n_completion_tokens()},
            {"total_tokens", choices.n_prompt_tokens() + choices.n_completion_tokens()},
            {"prompt_tokens_details", {{"cached_tokens", choices.n_cached_tokens()}}},
            {"completion_tokens_details", {{"reasoning_tokens", 0}}}};
}

Json timings_json(const ChoiceSet& choices) {
    const GenerationStats& stats = choices.stats(0);
    const auto per_token = [](double ms, int64_t n) { return n > 0 ? ms / static_cast<double>(n) : 0.0; };
    const auto per_second = [](double ms, int64_t n) { return ms > 0 ? static_cast<double>(n) * 1000 / ms : 0.0; };
    const int64_t n_cached = stats.n_cached_tokens, n_prompt = stats.n_prompt_tokens - n_cached, n_predicted = stats.n_generated_tokens;
    Json json = {{"cache_n", n_cached},
                 {"prompt_n", n_prompt},
                 {"prompt_ms", stats.prompt_ms},
                 {"prompt_per_token_ms", per_token(stats.prompt_ms, n_prompt)},
                 {"prompt_per_second", per_second(stats.prompt_ms, n_prompt)},
                 {"predicted_n", n_predicted},
                 {"predicted_ms", stats.generation_ms},
                 {"predicted_per_token_ms", per_token(stats.generation_ms, n_predicted)},
                 {"predicted_per_second", per_second(stats.generation_ms, n_predicted)}};
    if (stats.n_drafted_tokens > 0) {
        json["draft_n"] = stats.n_drafted_tokens;
        json["draft_n_accepted"] = stats.n_accepted_tokens;
    }
    return json;
}

Json chat_logprobs(const Tokenizer& tokenizer, const std::vector<TokenOutput>& tokens) {
    Json list = Json::array();
    for (const TokenOutput& token : tokens) {
        if (!token.logprobs) continue;
        Json entry = chat_entry(token.text, token.logprobs->logprob);
        Json& top = entry["top_logprobs"] = Json::array();
        for (const TokenLogprob& each : token.logprobs->top) top.push_back(chat_entry(token_name(tokenizer, each.token), each.logprob));
        list.push_back(std::move(entry));
    }
    return list;
}

Json completion_logprobs(const Tokenizer& tokenizer, const std::vector<TokenOutput>& tokens, int64_t& offset) {
    Json texts = Json::array(), logprobs = Json::array(), tops = Json::array(), offsets = Json::array();
    for (const TokenOutput& token : tokens) {
        texts.push_back(completion_token(token.text));
        offsets.push_back(offset);
        offset += n_characters(token.text);
        if (!token.logprobs) {
            logprobs.push_back(nullptr);
            tops.push_back(nullptr);
            continue;
        }
        logprobs.push_back(token.logprobs->logprob);
        Json top = Json::object();
        for (const TokenLogprob& each : token.logprobs->top) top[completion_token(token_name(tokenizer, each.token))] = each.logprob;
        top[completion_token(token.text)] = token.logprobs->logprob;
        tops.push_back(std::move(top));
    }
    return {{"tokens", texts}, {"token_logprobs", logprobs}, {"top_logprobs", tops}, {"text_offset", offsets}};
}

int64_t n_characters(std::string_view text) {
    return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

}  // namespace quern
