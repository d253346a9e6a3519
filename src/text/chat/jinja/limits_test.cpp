// Hostile templates and inputs: each must end soon, with one of our errors.
#include <doctest/doctest.h>

#include <string>

#include "base/error.h"
#include "text/chat/chat_template.h"

using namespace quern;

namespace {

std::string repeat(std::string_view piece, size_t n) {
    std::string out;
    for (size_t i = 0; i < n; ++i) out += piece;
    return out;
}

void render(const std::string& source, const Json& extra = Json::object()) {
    ChatTemplate::compile(source, {})->render({.messages = Json::array(), .extra = extra});
}

}  // namespace

TEST_CASE("templates that nest too deeply are refused when they are compiled") {
    const size_t n = 100'000;
    CHECK_THROWS_AS(render("{{ " + repeat("(", n) + "1" + repeat(")", n) + " }}"), ModelError);
    CHECK_THROWS_AS(render("{{ " + repeat("[", n) + repeat("]", n) + " }}"), ModelError);
    CHECK_THROWS_AS(render("{{ " + repeat("-", n) + "1 }}"), ModelError);
    CHECK_THROWS_AS(render("{{ " + repeat("not ", n) + "1 }}"), ModelError);
    CHECK_THROWS_AS(render("{{ 1" + repeat(" + 1", n) + " }}"), ModelError);
    CHECK_THROWS_AS(render("{{ x" + repeat(".y", n) + " }}"), ModelError);
    CHECK_THROWS_AS(render("{{ x" + repeat("()", n) + " }}"), ModelError);
    CHECK_THROWS_AS(render("{{ x" + repeat(" | upper", n) + " }}"), ModelError);
    CHECK_THROWS_AS(render("{{ x" + repeat(" if x", n) + " }}"), ModelError);
    CHECK_THROWS_AS(render("{{ x" + repeat(" if x else x", n) + " }}"), ModelError);
    CHECK_THROWS_AS(render(repeat("{% if x %}", n)), ModelError);
    CHECK_THROWS_AS(render(repeat("{% for x in y %}", n)), ModelError);
    CHECK_THROWS_AS(render("{% for " + repeat("(", n) + "x" + repeat(")", n) + " in y %}{% endfor %}"), ModelError);
}

TEST_CASE("long but flat templates are fine") {
    render(repeat("{{ 1 ~ 2 }}\n", 10'000));
    render("{% if x %}" + repeat("{% elif x %}a", 10'000) + "{% endif %}");
    render("{{ [" + repeat("1, ", 10'000) + "] | length }}");
}

TEST_CASE("sources and blocks of absurd size are refused") {
    CHECK_THROWS_AS(render(std::string(2'000'000, 'x')), ModelError);
    std::string many;
    for (int i = 0; i < 2000; ++i) many += "{% set x" + std::to_string(i) + " = 1 %}";
    CHECK_THROWS_AS(render(many), InvalidInput);
}

TEST_CASE("endless recursion ends") {
    CHECK_THROWS_AS(render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), InvalidInput);
    CHECK_THROWS_AS(render("{% macro f(x=f()) %}{% endmacro %}{{ f() }}"), InvalidInput);
    CHECK_THROWS_AS(render("{% macro f() %}{{ [1] | map('string') | list }}{% call g() %}{{ f() }}{% endcall %}{% endmacro %}"
                           "{% macro g() %}{{ caller() }}{% endmacro %}{{ f() }}"),
                    InvalidInput);
    CHECK_THROWS_AS(render("{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}"), InvalidInput);
}

TEST_CASE("loops end") {
    CHECK_THROWS_AS(render("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"), InvalidInput);
    CHECK_THROWS_AS(render("{{ range(100001) }}"), InvalidInput);
    CHECK_THROWS_AS(render("{{ range(-9223372036854775807, 9223372036854775807) }}"), InvalidInput);
    CHECK_THROWS_AS(render("{{ range(9223372036854775806, 9223372036854775807, 9223372036854775807)[::-1] }}"), InvalidInput);
}

TEST_CASE("memory is bounded") {
    const std::string doubling = "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
    CHECK_THROWS_AS(render(doubling), InvalidInput);
    CHECK_THROWS_AS(render("{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}"),
                    InvalidInput);
    CHECK_THROWS_AS(render("{{ 'a' * 9223372036854775807 }}"), InvalidInput);
    CHECK_THROWS_AS(render("{{ [1] * 9223372036854775807 }}"), InvalidInput);
    CHECK_THROWS_AS(render("{{ 'a'.center(9223372036854775807) }}"), InvalidInput);
    CHECK_THROWS_AS(render("{{ 'a'.zfill(9223372036854775807) }}"), InvalidInput);
    CHECK_THROWS_AS(render("{{ '%9999999999d' % 1 }}"), InvalidInput);
    CHECK_THROWS_AS(render("{{ '{:9999999999}'.format(1) }}"), InvalidInput);
    CHECK_THROWS_AS(render("{{ 'a' | indent(9223372036854775807, true) }}"), InvalidInput);
    CHECK_THROWS_AS(render("{{ [1] | tojson(indent=9223372036854775807) }}"), InvalidInput);
    CHECK_THROWS_AS(render("{{ ('a' * 10000).replace('', 'b' * 10000) }}"), InvalidInput);
    CHECK_THROWS_AS(render("{% for i in range(99999) %}{{ 'a' * 1000 }}{% endfor %}"), InvalidInput);
}

TEST_CASE("values that share their parts cannot explode") {
    const std::string shared = "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
    CHECK_THROWS_AS(render(shared + "{{ ns.x }}"), InvalidInput);
    CHECK_THROWS_AS(render(shared + "{{ ns.x | tojson }}"), InvalidInput);
    const std::string twice = shared + "{% set ns.y = [1] %}{% for i in range(60) %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}";
    CHECK_THROWS_AS(render(twice + "{{ ns.x == ns.y }}"), InvalidInput);
    CHECK_THROWS_AS(render(twice + "{{ ns.x < ns.y }}"), InvalidInput);
    CHECK_THROWS_AS(render(twice + "{{ [ns.x, ns.y] | sort }}"), InvalidInput);
}

TEST_CASE("deep values and circles are freed without recursion") {
    CHECK_THROWS_AS(render("{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}"), InvalidInput);
    render("{% set ns = namespace(x=1) %}{% set ns.x = [ns, {'a': ns}] %}{% set ns.y = cycler(ns) %}");
    render("{% set ns = namespace(x=1) %}{% for i in range(99999) %}{% set ns.x = namespace(x=ns.x) %}{% endfor %}");
    render("{% set ns = namespace(x=1) %}{% for i in range(30000) %}{% for l in [ns.x] %}{% set ns.x = loop %}{% endfor %}{% endfor %}");
    render("{% for i in [1, 2] %}{{ loop.changed(loop) }}{{ loop.changed(loop.cycle) }}{% endfor %}");
    CHECK_THROWS_AS(render("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}"), InvalidInput);
}

TEST_CASE("integers that do not fit in 64 bits are refused") {
    for (const char* source :
         {"{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}", "{{ 9223372036854775807 * 2 }}", "{{ 10 ** 19 }}",
          "{{ (-9223372036854775807 - 1) // -1 }}", "{{ -(-9223372036854775807 - 1) }}", "{{ (-9223372036854775807 - 1) | abs }}",
          "{{ '9223372036854775808' | int }}", "{{ 1e300 | int }}", "{{ 1 // 0 }}", "{{ 1 % 0 }}", "{{ 1.0 / 0 }}"}) {
        CAPTURE(source);
        CHECK_THROWS_AS(render(source), InvalidInput);
    }
    render("{{ (-9223372036854775807 - 1) % -1 }}{{ 'abc'[9223372036854775807:-9223372036854775807:-9223372036854775807] }}");
}

TEST_CASE("input that nests too deeply is refused") {
    Json deep = Json::array();
    for (int i = 0; i < 200; ++i) deep = Json::array({deep});
    CHECK_THROWS_AS(render("x{{ deep }}", {{"deep", deep}}), InvalidInput);
}

TEST_CASE("bytes that are not UTF-8 do no harm") {
    const std::string bad = "a\xFF\xC3(\xE2\x82z\xF0\x9F";
    render(
        "{{ x | upper }}{{ x[1:] }}{{ x | tojson }}{{ x | tojson(ensure_ascii=true) }}{{ [x] }}{{ x | length }}{{ x[::-1] }}{{ x.strip() }}"
        "{{ x.split() }}{{ x | title }}{{ x | reverse }}{% for c in x %}{{ c }}{% endfor %}",
        {{"x", bad}});
    render(bad + "{{ '" + bad + "' | trim }}");
}
