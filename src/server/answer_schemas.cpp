// What answers look like, in a short form of JSON Schema: "string", "integer|null", the name of another schema, or [X] for an array of X; a
// key with ? may be missing. Objects may hold more than is named here.
#include "base/error.h"
#include "server/openapi.h"

namespace quern {
namespace {

constexpr const char* openai_schemas = R"({
"Health": {"status": "string"},
"Document": {"openapi": "string", "info": "object", "paths": "object", "components": "object"},
"ModelList": {"object": "string", "data": ["Model"], "memory": "object"},
"Model": {"id": "string", "object": "string", "created": "integer", "owned_by": "string", "status": "ModelStatus", "meta?": "ModelMeta", "memory?": "ModelMemory"},
"ModelStatus": {"value": "string", "pinned": "boolean", "requests": "integer", "error?": "string"},
"ModelMeta": {"n_ctx": "integer", "n_ctx_train": "integer", "n_vocab": "integer", "n_embd": "integer", "n_params": "integer", "size": "integer"},
"ModelMemory": {"weights": "integer", "kv_cache": "integer", "workspace": "integer"},
"Usage": {"prompt_tokens": "integer", "completion_tokens": "integer", "total_tokens": "integer", "prompt_tokens_details": "object", "completion_tokens_details": "object"},
"Timings": {"cache_n": "integer", "prompt_n": "integer", "prompt_ms": "number", "prompt_per_token_ms": "number", "prompt_per_second": "number", "predicted_n": "integer",
    "predicted_ms": "number", "predicted_per_token_ms": "number", "predicted_per_second": "number", "draft_n?": "integer", "draft_n_accepted?": "integer"},
"ChatCompletion": {"id": "string", "object": "string", "created": "integer", "model": "string", "system_fingerprint": "string", "choices": ["ChatChoice"], "usage": "Usage", "timings?": "Timings"},
"ChatChoice": {"index": "integer", "message": "ChatMessage", "logprobs": "ChatLogprobs|null", "finish_reason": "string"},
"ChatMessage": {"role": "string", "content": "string|null", "refusal": "string|null"},
"ChatLogprobs": {"content": ["TokenLogprob"], "refusal": "null"},
"TokenLogprob": {"token": "string", "logprob": "number", "bytes": ["integer"], "top_logprobs": ["TopLogprob"]},
"TopLogprob": {"token": "string", "logprob": "number", "bytes": ["integer"]},
"Completion": {"id": "string", "object": "string", "created": "integer", "model": "string", "system_fingerprint": "string", "choices": ["CompletionChoice"], "usage": "Usage", "timings?": "Timings"},
"CompletionChoice": {"index": "integer", "text": "string", "logprobs": "CompletionLogprobs|null", "finish_reason": "string"},
"CompletionLogprobs": {"tokens": ["string"], "token_logprobs": ["number|null"], "top_logprobs": ["object|null"], "text_offset": ["integer"]},
"EmbeddingList": {"object": "string", "data": ["Embedding"], "model": "string", "usage": "EmbeddingUsage"},
"EmbeddingUsage": {"prompt_tokens": "integer", "total_tokens": "integer"},
"Embedding": {"object": "string", "index": "integer", "embedding": "Vector|string"},
"Vector": ["number"],
"Ranking": "RankedList|Scores",
"RankedList": {"object": "string", "model": "string", "usage": "EmbeddingUsage", "results": ["RankedDocument"]},
"RankedDocument": {"index": "integer", "relevance_score": "number", "document?": "object"},
"Scores": ["Score"],
"Score": {"index": "integer", "score": "number", "text?": "string"},
"InputTokens": {"object": "string", "input_tokens": "integer"},
"Response": {"id": "string", "object": "string", "created_at": "integer", "status": "string", "error": "object|null", "incomplete_details": "object|null", "instructions": "string|null", "model": "string",
    "output": ["ResponseItem"], "parallel_tool_calls": "boolean", "tools": ["object"], "tool_choice": "any", "temperature": "number|null", "top_p": "number|null", "metadata": "object|null",
    "usage": "ResponseUsage|null"},
"ResponseItem": {"type": "string", "id": "string", "status?": "string", "role?": "string", "content?": ["object"]},
"ResponseUsage": {"input_tokens": "integer", "input_tokens_details": "object", "output_tokens": "integer", "output_tokens_details": "object", "total_tokens": "integer"}
})";

constexpr const char* other_schemas = R"({
"Message": {"id": "string", "type": "string", "role": "string", "model": "string", "content": ["ContentBlock"], "stop_reason": "string", "stop_sequence": "string|null", "usage": "MessageUsage"},
"ContentBlock": {"type": "string", "text?": "string"},
"MessageUsage": {"input_tokens": "integer", "output_tokens": "integer", "cache_creation_input_tokens": "integer", "cache_read_input_tokens": "integer"},
"TokenCount": {"input_tokens": "integer"},
"NativeCompletion": "NativeAnswer|NativeAnswers|ChosenFields",
"ChosenFields": {"content?": "string"},
"NativeAnswers": ["NativeAnswer"],
"NativeAnswer": {"index": "integer", "content": "string", "tokens": ["integer"], "id_slot": "integer", "stop": "boolean", "model": "string", "tokens_predicted": "integer", "tokens_evaluated": "integer",
    "generation_settings": "object", "truncated": "boolean", "stop_type": "string", "stopping_word": "string", "tokens_cached": "integer", "timings": "Timings"},
"Tokens": {"tokens": ["integer|TokenPiece"]},
"TokenPiece": {"id": "integer", "piece": "string|Bytes"},
"Bytes": ["integer"],
"TokenIds": {"tokens": ["integer"]},
"Count": {"count": "integer"},
"Content": {"content": "string"},
"Text": {"text": "string"},
"Adapters": ["Adapter"],
"Adapter": {"id": "integer", "path": "string", "scale": "number"},
"Success": {"success": "boolean"},
"Prompt": {"prompt": "string"},
"Properties": {"default_generation_settings": "DefaultSettings", "total_slots": "integer", "model_alias": "string", "model_path": "string", "chat_template": "string", "modalities": "object",
    "bos_token": "string", "eos_token": "string", "build_info": "string", "is_sleeping": "boolean"},
"DefaultSettings": {"n_ctx": "integer", "params": "object"},
"Slots": ["Slot"],
"Slot": {"id": "integer", "id_task": "integer", "n_ctx": "integer", "speculative": "boolean", "is_processing": "boolean", "params": "object", "next_token": "NextToken"},
"NextToken": {"has_next_token": "boolean", "n_decoded": "integer", "n_remain": "integer"},
"OllamaChat": {"model": "string", "created_at": "string", "message": "OllamaMessage", "done": "boolean", "done_reason?": "string", "total_duration?": "integer", "load_duration?": "integer",
    "prompt_eval_count?": "integer", "prompt_eval_duration?": "integer", "eval_count?": "integer", "eval_duration?": "integer"},
"OllamaMessage": {"role": "string", "content": "string"},
"OllamaText": {"model": "string", "created_at": "string", "response": "string", "done": "boolean", "done_reason?": "string", "total_duration?": "integer", "load_duration?": "integer",
    "prompt_eval_count?": "integer", "prompt_eval_duration?": "integer", "eval_count?": "integer", "eval_duration?": "integer"},
"OllamaShow": {"modelfile": "string", "parameters": "string", "template": "string", "details": "OllamaDetails", "model_info": "object", "capabilities": ["string"], "modified_at": "string", "license?": "string"},
"OllamaDetails": {"parent_model": "string", "format": "string", "family": "string", "families": ["string"], "parameter_size": "string", "quantization_level": "string"},
"OllamaModels": {"models": ["OllamaModel"]},
"OllamaModel": {"name": "string", "model": "string", "size": "integer", "digest": "string", "details": "OllamaDetails", "modified_at?": "string", "expires_at?": "string", "size_vram?": "integer",
    "context_length?": "integer"},
"OllamaVectors": {"model": "string", "embeddings": ["Vector"], "total_duration": "integer", "load_duration": "integer", "prompt_eval_count": "integer"},
"OllamaVector": {"embedding": "Vector"},
"NativeVectors": ["NativeVector"],
"NativeVector": {"index": "integer", "embedding": ["Vector"]},
"Version": {"version": "string"},
"OpenAIError": {"error": "OpenAIErrorDetails"},
"OpenAIErrorDetails": {"message": "string", "type": "string", "param": "string|null", "code": "string|null"},
"AnthropicError": {"type": "string", "error": "AnthropicErrorDetails"},
"AnthropicErrorDetails": {"type": "string", "message": "string"},
"OllamaError": {"error": "string"}
})";

Json schema_of_name(std::string_view name) {
    if (name == "any") return Json::object();
    if (name.front() >= 'A' && name.front() <= 'Z') return {{"$ref", concat("#/components/schemas/", name)}};
    return {{"type", name}};
}

Json expand(const Json& brief);

Json expand_object(const Json& brief) {
    Json properties = Json::object(), required = Json::array();
    for (const auto& [key, value] : brief.items()) {
        const bool is_optional = key.ends_with('?');
        const std::string name = is_optional ? key.substr(0, key.size() - 1) : key;
        if (!is_optional) required.push_back(name);
        properties[name] = expand(value);
    }
    return {{"type", "object"}, {"properties", std::move(properties)}, {"required", std::move(required)}};
}

Json expand(const Json& brief) {
    if (brief.is_object()) return expand_object(brief);
    if (brief.is_array()) return {{"type", "array"}, {"items", expand(brief.front())}};
    const auto& names = brief.get_ref<const std::string&>();
    Json choices = Json::array();
    for (size_t begin = 0; begin <= names.size();) {
        const size_t end = std::min(names.find('|', begin), names.size());
        choices.push_back(schema_of_name(std::string_view(names).substr(begin, end - begin)));
        begin = end + 1;
    }
    return choices.size() == 1 ? choices.front() : Json{{"anyOf", std::move(choices)}};
}

}  // namespace

Json answer_schemas() {
    Json out = Json::object();
    for (const char* text : {openai_schemas, other_schemas}) {
        const Json all = Json::parse(text);
        for (const auto& [name, brief] : all.items()) out[name] = expand(brief);
    }
    return out;
}

}  // namespace quern
