// The language itself: statements, scopes, white space, values. tests/e2e/test_chat_templates.py compares far more with jinja2.
#include <doctest/doctest.h>

#include <string>

#include "base/error.h"
#include "text/chat/chat_template.h"

using namespace quern;

namespace {

std::string render(std::string_view source, const Json& extra = Json::object()) {
    return ChatTemplate::compile(source, {})->render_text({.messages = Json::array(), .extra = extra});
}

}  // namespace

TEST_CASE("loops know their place") {
    CHECK(render("{% for x in 'abc' %}{{ loop.index }}{{ loop.revindex0 }}{{ loop.first }}{{ x }} {% endfor %}") ==
          "12Truea 21Falseb 30Falsec ");
    CHECK(render("{% for x in [1, 2] %}{{ loop.previtem }}/{{ loop.nextitem }}/{{ loop.length }} {% endfor %}") == "/2/2 1//2 ");
    CHECK(render("{% for x in range(9) if x is odd %}{{ x }}{{ loop.last }}{% endfor %}") == "1False3False5False7True");
    CHECK(render("{% for x in [] %}x{% else %}none{% endfor %}") == "none");
    CHECK(
        render("{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}{% if x > 2 %}{% break %}{% endif %}{{ x }}{% endfor %}") ==
        "02");
    CHECK(render("{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}") == "123");
}

TEST_CASE("a variable set in a loop does not leave it, one of a namespace does") {
    CHECK(render("{% set x = 0 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}") == "120");
    CHECK(render("{% set ns = namespace(x=0) %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}") == "3");
    CHECK(render("{% if true %}{% set x = 5 %}{% endif %}{{ x }}") == "5");
}

TEST_CASE("macros take defaults, keywords and callers") {
    CHECK(render("{% macro f(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }} {{ f(1, b=3) }} {{ f() }}") == "12 13 2");
    CHECK(render("{% macro f() %}<{{ caller(7) }}>{% endmacro %}{% call(x) f() %}in {{ x }}{% endcall %}") == "<in 7>");
    CHECK(render("{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, k=2) }}") == "(1,){'k': 2}");
    CHECK(render("{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}") == "3210");
}

TEST_CASE("a macro kept beyond its block still sees its variables") {
    CHECK(render(
              "{% set ns = namespace() %}{% for i in [1, 2] %}{% set k = i * 10 %}{% macro f() %}{{ k }}{% endmacro %}"
              "{% if loop.first %}{% set ns.f = f %}{% endif %}{% endfor %}{% for i in [8, 9] %}{% set k = i %}{{ ns.f() }}{% endfor %}") ==
          "1010");
}

TEST_CASE("white space is cut as trim_blocks, lstrip_blocks and the signs say") {
    CHECK(render("a\n  {% if true %}\n  b\n  {% endif %}\nc") == "a\n  b\nc");
    CHECK(render("a  {%- if true -%}  b  {%- endif %}  c") == "ab  c");
    CHECK(render("  {%+ if true +%}\nb{% endif %}") == "  \nb");
    CHECK(render("{{ 1 }}\n{{- 2 }}  {# x #}\n3\n") == "12  3");
    CHECK(render("{% raw %}{{ x }}{% endraw %}") == "{{ x }}");
    CHECK(render("a\r\nb\r") == "a\nb");
}

TEST_CASE("values print as in Python") {
    CHECK(render("{{ [1, 2.0, true, none, 'a', (3,), {'k': 'it\\'s'}] }}") == "[1, 2.0, True, None, 'a', (3,), {'k': \"it's\"}]");
    CHECK(render("{{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 7 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }}") ==
          "1e+16 1000000000000000.0 0.0001 1e-05 3.5 3 -4 2");
    CHECK(render("{{ x }}", {{"x", {{"a", {1, nullptr}}, {"b", 1.5}}}}) == "{'a': [1, None], 'b': 1.5}");
}

TEST_CASE("what is undefined prints nothing and cannot be used") {
    CHECK(render("[{{ x }}][{{ x ~ 'a' }}][{{ x is defined }}][{{ x | default('d') }}][{{ {}.y }}]") == "[][a][False][d][]");
    for (const char* source : {"{{ x.y }}", "{{ x['y'] }}", "{{ x() }}", "{{ x + 1 }}", "{{ x < 1 }}", "{{ x | int }}"}) {
        CHECK_THROWS_AS(render(source), InvalidInput);
    }
}

TEST_CASE("a generator can be read once") {
    CHECK(render("{% set g = [1, 2] | select %}{{ g | list }}{{ g | list }}{{ 'true' if g }}") == "[1, 2][]true");
}

TEST_CASE("JSON is written as json.dumps does") {
    CHECK(render("{{ x | tojson }}", {{"x", {{"b", "<é>\n"}, {"a", {1, 2.0, true, nullptr}}}}}) ==
          "{\"b\": \"<é>\\n\", \"a\": [1, 2.0, true, null]}");
    CHECK(render("{{ {'b': [1, {}], 'a': []} | tojson(indent=2, sort_keys=true) }}") ==
          "{\n  \"a\": [],\n  \"b\": [\n    1,\n    {}\n  ]\n}");
    CHECK(render("{{ 'é🙂' | tojson(ensure_ascii=true) }}") == "\"\\u00e9\\ud83d\\ude42\"");
}

TEST_CASE("markup escapes what is added to it") { CHECK(render("{{ ('<a>' | safe) + '<b>' }}{{ '<' | e }}") == "<a>&lt;b&gt;&lt;"); }

TEST_CASE("an unknown filter in a branch fails only when the branch is taken") {
    CHECK(render("{% if false %}{{ 1 | nope }}{% endif %}ok") == "ok");
    CHECK_THROWS_AS(render("{% if true %}{{ 1 | nope }}{% endif %}ok"), InvalidInput);
}

TEST_CASE("generation blocks are transparent") { CHECK(render("a{% generation %}b{{ 1 }}{% endgeneration %}c") == "ab1c"); }
