// The built-in chat formats. Facts: the prompt formats that the models' publishers document; names: those of llama-cpp-python.
// Line ends behind {% %} are dropped (trim_blocks), so that the sources can be laid out.
#include "text/chat/named_formats.h"

namespace quern {

namespace {

struct NamedFormat {
    std::string_view name;
    std::string_view source;
};

constexpr NamedFormat kFormats[] = {
    {"chatml", R"({% for message in messages %}
{{ '<|im_start|>' + message.role + '\n' + (message.content or '') + '<|im_end|>\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})"},

    {"llama-2", R"({% set system = namespace(text='') %}
{% for message in messages %}
{% if message.role == 'system' %}{% set system.text = '<<SYS>>\n' + message.content + '\n<</SYS>>\n\n' %}
{% elif message.role == 'user' %}{{ bos_token + '[INST] ' + system.text + message.content + ' [/INST]' }}{% set system.text = '' %}
{% elif message.role == 'assistant' %}{{ ' ' + (message.content or '') + ' ' + eos_token }}
{%- endif %}
{% endfor %})"},

    {"llama-3", R"({{ bos_token }}
{%- for message in messages %}
{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + (message.content or '') | trim + '<|eot_id|>' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %})"},

    {"mistral-instruct", R"({% set system = namespace(text='') %}
{{ bos_token }}
{%- for message in messages %}
{% if message.role == 'system' %}{% set system.text = message.content + '\n\n' %}
{% elif message.role == 'user' %}{{ '[INST] ' + system.text + message.content + ' [/INST]' }}{% set system.text = '' %}
{% elif message.role == 'assistant' %}{{ ' ' + (message.content or '') + eos_token }}
{%- endif %}
{% endfor %})"},

    {"gemma", R"({% set system = namespace(text='') %}
{{ bos_token }}
{%- for message in messages %}
{% if message.role == 'system' %}{% set system.text = message.content + '\n\n' %}
{% else %}
{% set role = 'model' if message.role == 'assistant' else message.role %}
{{ '<start_of_turn>' + role + '\n' + system.text + (message.content or '') | trim + '<end_of_turn>\n' }}{% set system.text = '' %}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %})"},

    {"zephyr", R"({% for message in messages %}
{{ '<|' + message.role + '|>\n' + (message.content or '') + eos_token + '\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %})"},

    {"vicuna", R"({% set turns = messages | rejectattr('role', 'equalto', 'system') | list %}
{% set first = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | list %}
{% set usual = "A chat between a curious user and an artificial intelligence assistant. "
   "The assistant gives helpful, detailed, and polite answers to the user's questions." %}
{{ bos_token + (first[0] if first else usual) + ' ' }}
{%- for message in turns %}
{% if message.role == 'user' %}{{ 'USER: ' + message.content + ' ' }}
{%- else %}{{ 'ASSISTANT: ' + (message.content or '') + eos_token }}
{%- endif %}
{% endfor %}
{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %})"},

    {"alpaca", R"({% set first = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | list %}
{{ bos_token + (first[0] if first
   else 'Below is an instruction that describes a task. Write a response that appropriately completes the request.') + '\n\n' }}
{%- for message in messages %}
{% if message.role == 'user' %}{{ '### Instruction:\n' + message.content + '\n\n' }}
{%- elif message.role == 'assistant' %}{{ '### Response:\n' + (message.content or '') + eos_token + '\n\n' }}
{%- endif %}
{% endfor %}
{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %})"},

    {"qwen", R"({% if not messages or messages[0].role != 'system' %}
{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}
{%- endif %}
{% for message in messages %}
{{ '<|im_start|>' + message.role + '\n' + (message.content or '') + '<|im_end|>\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})"},

    {"openchat", R"({{ bos_token }}
{%- for message in messages %}
{% if message.role == 'system' %}{{ message.content + '<|end_of_turn|>' }}
{%- else %}{{ 'GPT4 Correct ' + message.role | title + ': ' + (message.content or '') + '<|end_of_turn|>' }}
{%- endif %}
{% endfor %}
{% if add_generation_prompt %}{{ 'GPT4 Correct Assistant:' }}{% endif %})"},

    {"phi", R"({% for message in messages %}
{{ '<|' + message.role + '|>\n' + (message.content or '') + '<|end|>\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %})"},

    {"deepseek", R"({{ bos_token }}
{%- for message in messages %}
{% if message.role == 'user' %}{{ 'User: ' + message.content + '\n\n' }}
{%- elif message.role == 'assistant' %}{{ 'Assistant: ' + (message.content or '') + eos_token }}
{%- else %}{{ message.content + '\n\n' }}
{%- endif %}
{% endfor %}
{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %})"},

    {"baichuan", R"({% for message in messages %}
{{ {'user': '<reserved_102>', 'assistant': '<reserved_103>'}.get(message.role, '') + (message.content or '') }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<reserved_103>' }}{% endif %})"},

    {"baichuan-2", R"({% for message in messages %}
{{ {'user': '<reserved_106>', 'assistant': '<reserved_107>'}.get(message.role, '') + (message.content or '') }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<reserved_107>' }}{% endif %})"},

    {"redpajama-incite", R"({% for message in messages %}
{% set name = {'user': '<human>: ', 'assistant': '<bot>: '}.get(message.role, '') %}
{{ name + (message.content or '') + '\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<bot>:' }}{% endif %})"},

    {"snoozy", R"({% for message in messages %}
{% set name = {'user': '### Prompt:\n', 'assistant': '### Response:\n'}.get(message.role, '### Instruction:\n') %}
{{ name + (message.content or '') + '\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %})"},

    {"phind", R"({% for message in messages %}
{% set name = {'user': '### User Message\n', 'assistant': '### Assistant\n'}.get(message.role, '### System Prompt\n') %}
{{ name + (message.content or '') + '\n\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '### Assistant\n' }}{% endif %})"},

    {"intel", R"({% for message in messages %}
{% set name = {'user': '### User:\n', 'assistant': '### Assistant:\n'}.get(message.role, '### System:\n') %}
{{ name + (message.content or '') + '\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '### Assistant:\n' }}{% endif %})"},

    {"open-orca", R"({% for message in messages %}
{% set name = {'user': 'User: ', 'assistant': 'Assistant: '}.get(message.role, '') %}
{{ name + (message.content or '') + '<|end_of_turn|>\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %})"},

    {"mistrallite", R"({% for message in messages %}
{% set name = {'user': '<|prompter|>', 'assistant': '<|assistant|>'}.get(message.role, '<|system|>') %}
{{ name + (message.content or '') + eos_token }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %})"},

    {"oasst_llama", R"({% for message in messages %}
{% set name = {'user': '<|prompter|>', 'assistant': '<|assistant|>'}.get(message.role, '<|system|>') %}
{{ name + (message.content or '') + eos_token }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %})"},

    {"pygmalion", R"({% for message in messages %}
{% set name = {'user': '<|user|>', 'assistant': '<|model|>'}.get(message.role, '<|system|>') %}
{{ name + (message.content or '') }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|model|>' }}{% endif %})"},

    {"openbuddy", R"({% for message in messages %}
{% set name = {'user': 'User: ', 'assistant': 'Assistant: '}.get(message.role, '') %}
{{ name + (message.content or '') + '\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %})"},

    {"chatglm3", R"({{ '[gMASK]sop' }}
{%- for message in messages %}
{{ '<|' + message.role + '|>\n ' + (message.content or '') }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %})"},

    {"saiga", R"({% for message in messages %}
{% set name = 'bot' if message.role == 'assistant' else message.role %}
{{ bos_token + name + '\n' + (message.content or '') + eos_token }}
{%- endfor %}
{% if add_generation_prompt %}{{ bos_token + 'bot\n' }}{% endif %})"},
};

}  // namespace

std::string_view named_format_source(std::string_view name) {
    for (const NamedFormat& format : kFormats) {
        if (format.name == name) return format.source;
    }
    return {};
}

std::string named_format_names() {
    std::string names;
    for (const NamedFormat& format : kFormats) {
        if (!names.empty()) names += ", ";
        names += format.name;
    }
    return names;
}

}  // namespace quern
