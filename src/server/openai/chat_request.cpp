#include "server/openai/chat_request.h"

#include <algorithm>

#include "server/openai/chat_messages.h"

namespace quern {
namespace {

using enum FieldKind;

constexpr FieldRule rules[] = {
    {"messages", any},
    {"logprobs", boolean},
    {"top_logprobs", integer, 0, 20},
    {"add_generation_prompt", boolean},
    {"chat_template_kwargs", object},

    {"tools", refused, 0, 0, "[[]]"},
    {"tool_choice", refused, 0, 0, R"(["none", "auto"])"},
    {"parallel_tool_calls", ignored},  // says something about tools only, like the reasoning fields about reasoning
    {"functions", refused, 0, 0, "[[]]"},
    {"function_call", refused, 0, 0, R"(["none", "auto"])"},
    {"response_format", refused, 0, 0, R"([{"type": "text"}])"},
    {"modalities", refused, 0, 0, R"([["text"]])"},
    {"audio", refused},
    {"continue_final_message", boolean},
    {"chat_template", refused},
    {"documents", refused, 0, 0, "[[]]"},
    {"return_tokens", refused, 0, 0, "[false]"},
    {"best_of", refused, 0, 0, "[1]"},
    {"echo", refused, 0, 0, "[false]"},
    {"image_data", refused, 0, 0, "[[]]"},
    {"web_search_options", ignored},
    {"prediction", ignored},
    {"moderation", ignored},
    {"reasoning_effort", text},
    {"verbosity", ignored},
};

/// llama.cpp's n_probs asks for logprobs and top_logprobs at once.
int read_logprobs(const RequestFields& fields, int n_probs) {
    const bool wanted = fields.flag("logprobs", false);
    const auto top = fields.integer("top_logprobs");
    if (top && n_probs > 0 && *top != n_probs) refuse_value("n_probs", "differs from 'top_logprobs'; leave one out");
    if (n_probs > 0) return n_probs;
    if (top && *top > 0 && !wanted) refuse_value("top_logprobs", "needs \"logprobs\": true");
    return wanted ? static_cast<int>(top.value_or(0)) : -1;
}

constexpr const char* efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};

}  // namespace

std::span<const FieldRule> chat_field_rules() { return rules; }

ChatPrompt read_chat_prompt(const RequestFields& fields) {
    ChatPrompt out;
    const Json* messages = fields.find("messages");
    if (!messages) refuse_value("messages", "is missing");
    out.input.messages = read_messages(*messages);
    const Json* generation_prompt = fields.find("add_generation_prompt");
    out.input.add_generation_prompt = fields.flag("add_generation_prompt", true);
    if (const Json* extra = fields.find("chat_template_kwargs")) out.input.extra = *extra;
    if (const auto effort = fields.text("reasoning_effort")) {
        if (std::find(std::begin(efforts), std::end(efforts), *effort) == std::end(efforts))
            refuse_value("reasoning_effort", "must be none, minimal, low, medium, high, xhigh or max");
        if (!out.input.extra.contains("reasoning_effort")) out.input.extra["reasoning_effort"] = *effort;
    }
    const bool may_continue = ends_with_answer(out.input.messages);
    out.continues_last = fields.flag("continue_final_message", may_continue && generation_prompt == nullptr);
    if (out.continues_last && !may_continue) refuse_value("continue_final_message", "needs an assistant's message with a text at the end");
    return out;
}

ChatRequest read_chat_request(const Json& body, const Engine& engine) {
    const RequestFields fields(body, {generation_field_rules(), sampler_field_rules(), rules});
    ChatRequest out{.fields = read_generation_fields(fields, engine)};
    if (out.fields.request.max_tokens == 0) refuse_value("max_tokens", "must be at least 1");
    out.fields.request.n_logprobs = read_logprobs(fields, out.fields.n_probs);
    out.prompt = read_chat_prompt(fields);
    return out;
}

}  // namespace quern
