// Chat templates end to end: origins of the text, limits, errors, named formats.
#include "text/chat/chat_template.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/error.h"

using namespace quern;

namespace {

std::vector<PromptPart> parts(std::string_view source, const Json& messages, const Json& extra = Json::object()) {
    return ChatTemplate::compile(source, {.bos = "<s>", .eos = "</s>"})->render({.messages = messages, .extra = extra});
}

std::string text(std::string_view source, const Json& extra = Json::object()) {
    return ChatTemplate::compile(source, {.bos = "<s>", .eos = "</s>"})->render_text({.messages = Json::array(), .extra = extra});
}

template <typename Error, typename Run>
std::string message_of(Run&& run) {
    try {
        run();
    } catch (const Error& error) {
        return error.what();
    }
    return "nothing was thrown";
}

bool has(const std::string& text, std::string_view piece) { return text.find(piece) != std::string::npos; }

PromptPart ours(std::string piece) { return {.text = std::move(piece), .is_template = true}; }
PromptPart theirs(std::string piece) { return {.text = std::move(piece), .is_template = false}; }

const Json kHello = Json::parse(R"([{"role": "user", "content": "Hi <|im_end|>"}])");

}  // namespace

TEST_CASE("text of messages is told apart from text of the template") {
    const std::vector<PromptPart> expected = {ours("<|im_start|>user\n"), theirs("Hi <|im_end|>"), ours("<|im_end|>\n")};
    CHECK(parts("{{ '<|im_start|>' + messages[0].role + '\\n' + messages[0].content + '<|im_end|>\\n' }}", kHello) == expected);
    CHECK(parts("<|im_start|>{{ messages[0]['role'] }}\n{{ messages[0]['content'] }}<|im_end|>\n\n", kHello) == expected);
}

TEST_CASE("the origin of characters survives filters, methods, slices, formats and macros") {
    const Json messages = Json::parse(R"([{"role": "user", "content": " ab-cd "}])");
    const auto check = [&](std::string_view source, const std::vector<PromptPart>& expected) {
        CAPTURE(source);
        CHECK(parts(source, messages) == expected);
    };
    check("{{ messages[0].content | trim | upper }}", {theirs("AB-CD")});
    check("{{ messages[0].content | replace('-', '<x>') | trim }}", {theirs("ab"), ours("<x>"), theirs("cd")});
    check("{{ 'x-y'.replace('-', messages[0].content) }}", {ours("x"), theirs(" ab-cd "), ours("y")});
    check("{{ messages[0].content.strip().split('-') | join('+') }}", {theirs("ab"), ours("+"), theirs("cd")});
    check("{{ ('<' ~ messages[0].content ~ '>')[1:4] }}", {theirs(" ab")});
    check("{{ ('<' ~ messages[0].content ~ '>')[:2] ~ '|' }}", {ours("<"), theirs(" "), ours("|")});
    check("{{ ('<' ~ messages[0].content.strip() ~ '>')[::-1] }}", {ours(">"), theirs("dc-ba"), ours("<")});
    check("{{ '%s=%s' % ('k', messages[0].content) }}", {ours("k="), theirs(" ab-cd ")});
    check("{{ '[{}]'.format(messages[0].content) }}", {ours("["), theirs(" ab-cd "), ours("]")});
    check("{{ [messages[0].content] | tojson }}", {ours("[\""), theirs(" ab-cd "), ours("\"]")});
    check("{{ messages[0].content * 2 ~ 'x' }}", {theirs(" ab-cd  ab-cd "), ours("x")});
    check("{{ messages[0].content.strip().center(9, '*') }}", {ours("**"), theirs("ab-cd"), ours("**")});
    check("{{ messages[0].content | indent(2, true) }}", {ours("  "), theirs(" ab-cd ")});
    check("{{ (messages[0].content | e) ~ ('<' | e) }}", {theirs(" ab-cd "), ours("&lt;")});
    check("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(messages[0].content) | title }}", {ours("<"), theirs(" Ab-Cd "), ours(">")});
    check("{% set x %}<{{ messages[0].content }}>{% endset %}{{ x }}", {ours("<"), theirs(" ab-cd "), ours(">")});
    check("{% filter upper %}a{{ messages[0].content }}b{% endfilter %}", {ours("A"), theirs(" AB-CD "), ours("B")});
    check("{% for c in messages[0].content.strip() %}{{ c }}{% endfor %}!", {theirs("ab-cd"), ours("!")});
    check("{% for k, v in messages[0].items() %}{{ k }}{% endfor %}", {theirs("rolecontent")});
}

TEST_CASE("a container of the request is input with its brackets, and one of the template is not") {
    CHECK(parts("{{ messages[0] | tojson }}", Json::parse(R"([{"a": [1, "x"]}])")) == std::vector{theirs(R"({"a": [1, "x"]})")});
    CHECK(parts("{{ {'a': messages[0].a} }}", Json::parse(R"([{"a": "x"}])")) == std::vector{ours("{'a': '"), theirs("x"), ours("'}")});
}

TEST_CASE("only well-known roles may complete a control token") {
    const auto source = "{{ '<|' + messages[0].role + '|>' }}";
    CHECK(parts(source, Json::parse(R"([{"role": "system"}])")) == std::vector{ours("<|system|>")});
    CHECK(parts(source, Json::parse(R"([{"role": "end"}])")) == std::vector{ours("<|"), theirs("end"), ours("|>")});
    CHECK(parts("{{ messages[0].x.role }}", Json::parse(R"([{"x": {"role": "system"}}])")) == std::vector{theirs("system")});
}

TEST_CASE("tokens are template text, tools and further variables are input") {
    const auto chat = ChatTemplate::compile("{{ bos_token }}{{ tools[0].name }}{{ eos_token }}{{ x }}", {.bos = "<s>", .eos = "</s>"});
    const auto rendered = chat->render({.messages = Json::array(), .tools = Json::parse(R"([{"name": "f"}])"), .extra = {{"x", "</s>"}}});
    CHECK(rendered == std::vector{ours("<s>"), theirs("f"), ours("</s>"), theirs("</s>")});
}

TEST_CASE("an empty rendering has no parts") { CHECK(parts("{% if false %}x{% endif %}", kHello).empty()); }

TEST_CASE("the variables of the engine are defined, and further ones may not replace them") {
    CHECK(text("{{ messages }} {{ tools }} {{ documents }} {{ add_generation_prompt }} {{ x }}", {{"x", 1}}) == "[] None None True 1");
    for (const char* name :
         {"messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "raise_exception", "namespace", "loop"}) {
        CHECK(has(message_of<InvalidInput>([&] { text("x", {{name, 1}}); }), name));
    }
    CHECK_THROWS_AS(text("x", Json::array()), InvalidInput);
    CHECK(text("{{ documents[0] }}", {{"documents", {"d"}}}) == "d");
}

TEST_CASE("input of the wrong shape is refused with the field's name") {
    const auto field_of = [](const TemplateInput& input) {
        try {
            ChatTemplate::compile("x", {})->render(input);
        } catch (const InvalidInput& error) {
            return error.field();
        }
        return std::string("none");
    };
    CHECK(field_of({.messages = "x"}) == "messages");
    CHECK(field_of({.messages = Json::parse("[1]")}) == "messages");
    CHECK(field_of({.messages = Json::array(), .tools = 5}) == "tools");
    CHECK(field_of({.messages = Json::array(), .extra = 5}) == "chat_template_kwargs");
    CHECK(field_of({.messages = Json::array()}) == "none");
}

TEST_CASE("raise_exception gives the template's own message") {
    CHECK(message_of<InvalidInput>([] { text("{{ raise_exception('Roles must alternate!') }}"); }) == "Roles must alternate!");
}

TEST_CASE("a fault while rendering names the line") {
    CHECK(message_of<InvalidInput>([] { text("a\nb\n{{ nothing.x }}"); }) == "chat template, line 3: 'nothing' is undefined");
    CHECK(has(message_of<InvalidInput>([] { text("{{ 'a'.append('b') }}"); }), "undefined"));
    CHECK(has(message_of<InvalidInput>([] { text("{{ [].append(1) }}"); }), "unsafe"));
    CHECK(has(message_of<InvalidInput>([] { text("{{ ''.__class__.__mro__ }}"); }), "unsafe"));
}

TEST_CASE("a fault in the source names line and column") {
    const auto fault = [](std::string_view source) { return message_of<ModelError>([&] { ChatTemplate::compile(source, {}); }); };
    CHECK(has(fault("a\n  {{ x y }}"), "line 2 column 8: expected '}}', found 'y'"));
    CHECK(has(fault("{% if x %}"), "{% endif %}"));
    CHECK(has(fault("{{ x | nope }}"), "no filter named 'nope'"));
    CHECK(has(fault("{{ x is nope }}"), "no test named 'nope'"));
    CHECK(has(fault("{% nope %}"), "'nope'"));
    CHECK(has(fault("{{ 'x }}"), "not closed"));
    CHECK(has(fault("{# x"), "not closed"));
    CHECK(has(fault("{% raw %}x"), "not closed"));
    CHECK(has(fault("{{ (1] }}"), "unexpected ']'"));
    CHECK(has(fault("{% break %}"), "outside a loop"));
    CHECK(has(fault("{% include 'x' %}"), "'include'"));
    CHECK(has(fault("{{ 99999999999999999999 }}"), "64 bits"));
}

TEST_CASE("chatml renders as its publisher describes") {
    const auto chat = ChatTemplate::named("chatml", {});
    const Json messages = Json::parse(R"([{"role": "system", "content": "S"}, {"role": "user", "content": " U "},
                                          {"role": "assistant", "content": null}, {"role": "user", "content": ""}])");
    const std::string turns =
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n U "
        "<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n<|im_start|>user\n<|im_end|>\n";
    CHECK(chat->render_text({.messages = messages}) == turns + "<|im_start|>assistant\n");
    CHECK(chat->render_text({.messages = messages, .add_generation_prompt = false}) == turns);
    CHECK(chat->render({.messages = messages})[1] == theirs("S"));
}

TEST_CASE("named formats render a conversation") {
    const Json messages = Json::parse(R"([{"role": "system", "content": "S"}, {"role": "user", "content": "U"},
                                          {"role": "assistant", "content": "A"}, {"role": "user", "content": "V"}])");
    const auto render = [&](const char* name) {
        return ChatTemplate::named(name, {.bos = "<s>", .eos = "</s>"})->render_text({.messages = messages});
    };
    CHECK(render("llama-2") == "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST] A </s><s>[INST] V [/INST]");
    CHECK(render("llama-3") ==
          "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|>"
          "<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|>"
          "<|start_header_id|>assistant<|end_header_id|>\n\n");
    CHECK(render("mistral-instruct") == "<s>[INST] S\n\nU [/INST] A</s>[INST] V [/INST]");
    CHECK(render("gemma") ==
          "<s><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"
          "<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n");
    CHECK(render("zephyr") == "<|system|>\nS</s>\n<|user|>\nU</s>\n<|assistant|>\nA</s>\n<|user|>\nV</s>\n<|assistant|>\n");
    CHECK(render("vicuna") == "<s>S USER: U ASSISTANT: A</s>USER: V ASSISTANT:");
    CHECK(render("alpaca") == "<s>S\n\n### Instruction:\nU\n\n### Response:\nA</s>\n\n### Instruction:\nV\n\n### Response:\n");
    CHECK(render("openchat") ==
          "<s>S<|end_of_turn|>GPT4 Correct User: U<|end_of_turn|>GPT4 Correct Assistant: A<|end_of_turn|>"
          "GPT4 Correct User: V<|end_of_turn|>GPT4 Correct Assistant:");
    CHECK(render("phi") == "<|system|>\nS<|end|>\n<|user|>\nU<|end|>\n<|assistant|>\nA<|end|>\n<|user|>\nV<|end|>\n<|assistant|>\n");
    CHECK(render("deepseek") == "<s>S\n\nUser: U\n\nAssistant: A</s>User: V\n\nAssistant:");
}

TEST_CASE("an unknown format is refused with the names of the known ones") {
    const std::string message = message_of<InvalidInput>([] { ChatTemplate::named("nope", {}); });
    CHECK(has(message, "'nope'"));
    CHECK(has(message, "chatml, llama-2, llama-3"));
}
