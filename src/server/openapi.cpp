// The OpenAPI document, from the tables that requests are checked with. Source: OpenAPI 3.1.0, JSON Schema 2020-12.
#include <cmath>

#include "server/endpoint_table.h"

namespace quern {
namespace {

Json number_json(double value) {
    if (std::trunc(value) == value && std::abs(value) < 9e15) return static_cast<int64_t>(value);
    return value;
}

Json with_null(const char* type) { return Json::array({type, "null"}); }

/// Fields whose form no single type says.
Json special_schema(std::string_view name) {
    const Json text = {{"type", "string"}}, ids = {{"type", "array"}, {"items", {{"type", "integer"}}}};
    if (name == "messages") return {{"type", "array"}, {"minItems", 1}, {"items", {{"type", "object"}}}};
    if (name == "prompt" || name == "input")
        return {{"anyOf",
                 {text,
                  {{"type", "array"}, {"minItems", 1}, {"items", {{"anyOf", {text, {{"type", "integer"}}, ids, {{"type", "object"}}}}}}}}}};
    if (name == "stop" || name == "system") return {{"anyOf", {text, {{"type", "array"}}, {{"type", "null"}}}}};
    if (name == "tokens") return ids;
    return Json::object();
}

Json schema_of(const FieldRule& rule) {
    switch (rule.kind) {
        case FieldKind::text:
            return {{"type", with_null("string")}};
        case FieldKind::boolean:
            return {{"type", with_null("boolean")}};
        case FieldKind::object:
            return {{"type", with_null("object")}};
        case FieldKind::integer:
            return {{"type", with_null("integer")}, {"minimum", number_json(rule.least)}, {"maximum", number_json(rule.most)}};
        case FieldKind::number:
            return {{"type", with_null("number")}, {"minimum", number_json(rule.least)}, {"maximum", number_json(rule.most)}};
        case FieldKind::ignored:
            return {{"description", "Accepted; changes nothing here."}};
        case FieldKind::any:
        case FieldKind::refused:
            break;
    }
    return special_schema(rule.name);
}

Json body_schema(const Endpoint& endpoint) {
    Json properties = Json::object();
    for (const auto table : endpoint.fields)
        for (const FieldRule& rule : table)
            if (rule.kind != FieldKind::refused && !properties.contains(rule.name)) properties[rule.name] = schema_of(rule);
    Json schema = {{"type", "object"}, {"properties", std::move(properties)}};
    if (!endpoint.required.empty()) schema["required"] = endpoint.required;
    return schema;
}

Json responses(bool may_stream) {
    Json content = {{"application/json", {{"schema", {{"type", Json::array({"object", "array"})}}}}}};
    if (may_stream) content["text/event-stream"] = {{"schema", {{"type", "string"}}}};
    const Json error = {{"description", "The request is refused, or has failed."},
                        {"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/Error"}}}}}}}};
    return {{"200", {{"description", "The answer."}, {"content", std::move(content)}}}, {"4XX", error}, {"5XX", error}};
}

Json get_operation(const char* tag, const char* summary) {
    return {{"get", {{"tags", {tag}}, {"summary", summary}, {"responses", responses(false)}}}};
}

Json error_schema() {
    return {{"type", "object"}, {"properties", {{"error", {{"type", Json::array({"object", "string"})}}}}}, {"required", {"error"}}};
}

}  // namespace

Json openapi_document(const std::string& root_path) {
    Json paths = Json::object();
    paths["/v1/models"] = get_operation("OpenAI", "The models that are served.");
    paths["/health"] = get_operation("Server", "Answers while the server runs.");
    paths["/ready"] = get_operation("Server", "Answers 200 once a model is loaded.");
    paths["/props"] = get_operation("llama.cpp", "What is known of the model.");
    paths["/slots"] = get_operation("llama.cpp", "What runs now.");
    paths["/lora-adapters"] = get_operation("llama.cpp", "The LoRA adapters and their scales; POST an array of {id, scale} to set them.");
    paths["/api/tags"] = get_operation("Ollama", "The models that are served.");
    paths["/api/ps"] = get_operation("Ollama", "The models in memory.");
    paths["/api/version"] = get_operation("Ollama", "The version of Ollama's API.");
    for (const Endpoint& endpoint : endpoints()) {
        if (endpoint.is_alias) continue;
        const Json schema = body_schema(endpoint);
        const bool may_stream = schema["properties"].contains("stream");
        paths[endpoint.path] = {{"post",
                                 {{"tags", {endpoint.tag}},
                                  {"summary", endpoint.summary},
                                  {"requestBody", {{"required", true}, {"content", {{"application/json", {{"schema", schema}}}}}}},
                                  {"responses", responses(may_stream)}}}};
    }
    return {{"openapi", "3.1.0"},
            {"info",
             {{"title", "quern"},
              {"version", "0.1.0"},
              {"description", "Language models behind the APIs of OpenAI, Anthropic, llama.cpp and Ollama."}}},
            {"servers", Json::array({{{"url", root_path.empty() ? "/" : root_path}}})},
            {"paths", std::move(paths)},
            {"components",
             {{"schemas", {{"Error", error_schema()}}}, {"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}}}}};
}

std::string documentation_page() {
    return R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>quern: API</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h2{margin-top:2.5rem}summary{cursor:pointer;padding:.3rem 0}code{font-size:.95em}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left}.m{color:#06c;font-weight:600}
</style></head><body><h1>quern</h1><p>The machine-readable form is <a href="openapi.json">openapi.json</a>.</p><div id="api"></div><script>
const make = (name, text) => { const e = document.createElement(name); if (text) e.textContent = text; return e; };
const range = s => ["minimum", "maximum"].every(k => k in s) ? s.minimum + " to " + s.maximum : (s.description || "");
fetch("openapi.json").then(r => r.json()).then(api => {
  const groups = {};
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, op] of Object.entries(methods)) (groups[op.tags[0]] ||= []).push([method.toUpperCase(), path, op]);
  const root = document.getElementById("api");
  for (const [tag, list] of Object.entries(groups)) {
    root.append(make("h2", tag));
    for (const [method, path, op] of list) {
      const d = make("details"), s = make("summary"), m = make("span", method + " ");
      m.className = "m"; s.append(m, make("code", path), " " + op.summary); d.append(s);
      const schema = op.requestBody?.content["application/json"].schema;
      if (schema) {
        const t = make("table"), h = make("tr"); h.append(make("th", "field"), make("th", "type"), make("th", "range")); t.append(h);
        for (const [name, f] of Object.entries(schema.properties)) {
          const row = make("tr"); const type = [].concat(f.type || []).filter(x => x != "null").join(", ");
          row.append(make("td", name + (schema.required?.includes(name) ? " *" : "")), make("td", type), make("td", range(f))); t.append(row);
        }
        d.append(t);
      }
      root.append(d);
    }
  }
});
</script></body></html>
)";
}

}  // namespace quern
