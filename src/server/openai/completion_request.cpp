#include "server/openai/completion_request.h"

#include <algorithm>

#include "server/generation/fill_in.h"
#include "server/generation/prompt_reader.h"

namespace quern {
namespace {

constexpr int64_t default_max_tokens = 16;  // OpenAI's

using enum FieldKind;

constexpr FieldRule rules[] = {
    {"prompt", any},
    {"echo", boolean},
    {"logprobs", integer, 0, 5},
    {"best_of", integer, 1, 128},
    {"suffix", text},
    {"response_format", refused, 0, 0, R"([{"type": "text"}])"},
    {"return_tokens", refused, 0, 0, "[false]"},
    {"image_data", refused, 0, 0, "[[]]"},
};

/// Fills in between a prompt's text and the suffix.
void make_fill_in(CompletionRequest& out, const Json& prompt, const std::string& suffix, const Tokenizer& tokenizer) {
    const Json texts = prompt.is_array() ? prompt : Json::array({prompt});
    for (size_t i = 0; i < texts.size(); ++i) {
        if (!texts[i].is_string()) refuse_value("prompt", "together with 'suffix' it must be text");
        out.prompts[i] = fill_in_prompt(tokenizer, {.prefix = texts[i], .suffix = suffix, .begun = {}, .other_files = {}});
    }
}

/// n_probs asks for the same under llama.cpp's name, but for 0: there it means none.
int read_logprobs(const RequestFields& fields, int n_probs) {
    const auto logprobs = fields.integer("logprobs");
    if (logprobs && n_probs > 0 && *logprobs != n_probs) refuse_value("n_probs", "differs from 'logprobs'; leave one out");
    return static_cast<int>(logprobs.value_or(n_probs > 0 ? n_probs : -1));
}

void read_choices(CompletionRequest& out, const RequestFields& fields) {
    const int n = out.fields.n_choices;
    const int64_t best_of = fields.integer("best_of").value_or(n);
    if (best_of < n) refuse_value("best_of", "must not be less than 'n'");
    if (best_of > n && out.fields.stream) refuse_value("best_of", "cannot be streamed when it is more than 'n'");
    out.best_of = static_cast<int>(best_of);
    const size_t n_choices = out.prompts.size() * static_cast<size_t>(best_of);
    if (n_choices > max_prompts)
        refuse_value(best_of > n ? "best_of" : "n",
                     concat("asks for ", n_choices, " choices in all, and at most ", max_prompts, " are possible"));
}

}  // namespace

std::span<const FieldRule> completion_field_rules() { return rules; }

CompletionRequest read_completion_request(const Json& body, const Engine& engine) {
    const RequestFields fields(body, {generation_field_rules(), sampler_field_rules(), rules});
    CompletionRequest out{.fields = read_generation_fields(fields, engine)};
    Request& request = out.fields.request;
    if (!request.max_tokens && !out.fields.until_full) request.max_tokens = default_max_tokens;
    out.n_logprobs = read_logprobs(fields, out.fields.n_probs);
    const Json* given = fields.find("prompt");
    const Json prompt = given ? *given : Json("");
    PromptList prompts = read_prompts(prompt, "prompt", engine);
    out.prompts = std::move(prompts.tokens);
    if (fields.flag("echo", false)) out.echoes = std::move(prompts.texts);
    const std::string suffix = fields.text("suffix").value_or("");
    if (!suffix.empty()) make_fill_in(out, prompt, suffix, engine.tokenizer());
    if (!suffix.empty() && !out.echoes.empty() && out.n_logprobs >= 0)
        refuse_value("suffix", "is not possible together with 'echo' and 'logprobs'");
    read_choices(out, fields);
    request.n_logprobs = out.best_of > out.fields.n_choices ? std::max(out.n_logprobs, 0) : out.n_logprobs;
    return out;
}

}  // namespace quern
