// The OpenAPI document, from the tables that requests are checked with. Source: OpenAPI 3.1.0, JSON Schema 2020-12.
#include "server/openapi.h"

#include <cmath>

#include "base/version.h"
#include "server/access.h"
#include "server/endpoint_table.h"

namespace quern {
namespace {

Json number_json(double value) {
    if (std::trunc(value) == value && std::abs(value) < 9e15) return static_cast<int64_t>(value);
    return value;
}

/// Fields whose form no single type says. All may be null, which counts as absent.
struct FieldForm {
    const char* name;
    const char* schema;
};

constexpr FieldForm field_forms[] = {
    {"messages", R"({"type": "array", "items": {"$ref": "#/components/schemas/InputMessage"}})"},
    {"prompt",
     R"({"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0},
        {"type": "array", "items": {"type": "integer", "minimum": 0}}]}}]})"},
    {"input",
     R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0},
        {"type": "array", "items": {"type": "integer", "minimum": 0}}, {"type": "object"}]}}]})"},
    {"stop",
     R"({"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "maxItems": 16, "items": {"type": "string", "minLength": 1}}]})"},
    {"stop_sequences", R"({"type": "array", "maxItems": 16, "items": {"type": "string", "minLength": 1}})"},
    {"system", R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]})"},
    {"tokens", R"({"type": "array", "items": {"type": "integer", "minimum": 0}})"},
    {"logit_bias",
     R"({"anyOf": [{"type": "object", "additionalProperties": {"type": ["number", "boolean"], "minimum": -100, "maximum": 100}},
        {"type": "array", "items": {"type": "array", "minItems": 2, "maxItems": 2}}]})"},
    {"samplers", R"({"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 16, "items": {"type": "string"}}]})"},
    {"dry_sequence_breakers", R"({"type": "array", "maxItems": 16, "items": {"type": "string"}})"},
    {"documents", R"({"type": "array", "minItems": 1, "maxItems": 2048, "items": {"type": ["string", "object"]}})"},
    {"texts", R"({"type": "array", "minItems": 1, "maxItems": 2048, "items": {"type": "string"}})"},
    {"response_fields", R"({"type": "array", "maxItems": 256, "items": {"type": "string"}})"},
    {"include", R"({"type": "array", "items": {"type": "string"}})"},
    {"input_extra",
     R"({"type": "array", "items": {"type": "object", "properties": {"filename": {"type": "string"}, "text": {"type": "string"}}, "required": ["text"]}})"},
    {"keep_alive", R"({"type": ["number", "string"]})"},
    {"think", R"({"type": ["boolean", "string"]})"},
    {"encoding_format", R"({"enum": ["float", "base64"]})"},
    {"logit_bias_type", R"({"enum": ["input_ids", "tokens"]})"},
    {"reasoning_effort", R"({"enum": ["none", "minimal", "low", "medium", "high", "xhigh", "max"]})"},
};

constexpr const char* input_schemas = R"({
"InputMessage": {"type": "object", "required": ["role"], "properties": {"role": {"type": "string"},
    "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}, {"type": "null"}]}}}
})";

Json or_null(Json schema) {
    if (schema.contains("enum")) {
        schema["enum"].push_back(nullptr);
        return schema;
    }
    if (schema.contains("anyOf")) {
        schema["anyOf"].push_back({{"type", "null"}});
        return schema;
    }
    Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
    types.push_back("null");
    schema["type"] = std::move(types);
    return schema;
}

Json with_range(const char* type, const FieldRule& rule) {
    return {{"type", type}, {"minimum", number_json(rule.least)}, {"maximum", number_json(rule.most)}};
}

Json refused_schema(const FieldRule& rule) {
    Json values = rule.neutral == nullptr ? Json::array() : Json::parse(rule.neutral);
    values.push_back(nullptr);
    return {{"enum", std::move(values)}, {"description", "Not supported but for these values, which ask for nothing."}};
}

Json schema_of(const FieldRule& rule) {
    if (rule.kind == FieldKind::refused) return refused_schema(rule);
    if (rule.kind == FieldKind::ignored) return {{"description", "Accepted; changes nothing here."}};
    if (rule.kind == FieldKind::any || rule.kind == FieldKind::text)
        for (const FieldForm& form : field_forms)
            if (std::string_view(form.name) == rule.name &&
                (rule.kind == FieldKind::any || std::string_view(form.schema).starts_with("{\"enum")))
                return or_null(Json::parse(form.schema));
    switch (rule.kind) {
        case FieldKind::text:
            return or_null({{"type", "string"}});
        case FieldKind::boolean:
            return or_null({{"type", "boolean"}});
        case FieldKind::object:
            return or_null({{"type", "object"}});
        case FieldKind::integer:
            return or_null(with_range("integer", rule));
        case FieldKind::number:
            return or_null(with_range("number", rule));
        default:
            return Json::object();
    }
}

bool is_required(const Endpoint& endpoint, std::string_view name) {
    for (const char* each : endpoint.required)
        if (each == name) return true;
    return false;
}

// A required field is neither missing nor null.
Json without_null(Json schema) {
    if (schema.contains("enum")) schema["enum"].erase(schema["enum"].size() - 1);
    if (schema.contains("anyOf")) schema["anyOf"].erase(schema["anyOf"].size() - 1);
    if (schema.contains("type") && schema["type"].is_array()) schema["type"].erase(schema["type"].size() - 1);
    return schema;
}

Json body_schema(const Endpoint& endpoint) {
    Json properties = Json::object();
    for (const auto table : endpoint.fields)
        for (const FieldRule& rule : table)
            if (!properties.contains(rule.name))
                properties[rule.name] = is_required(endpoint, rule.name) ? without_null(schema_of(rule)) : schema_of(rule);
    Json schema = {{"type", "object"}, {"properties", std::move(properties)}};
    if (!endpoint.required.empty()) schema["required"] = endpoint.required;
    return endpoint.takes_list ? Json{{"type", "array"}, {"items", std::move(schema)}} : schema;
}

Json parameters(const Endpoint& endpoint) {
    Json list = Json::array();
    if (std::string_view(endpoint.path).ends_with("{id}"))
        list.push_back({{"name", "id"}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}, {"minLength", 1}}}});
    for (const FieldRule& rule : endpoint.query) list.push_back({{"name", rule.name}, {"in", "query"}, {"schema", {{"type", "string"}}}});
    return list;
}

const char* error_name(ErrorShape shape) {
    switch (shape) {
        case ErrorShape::anthropic:
            return "AnthropicError";
        case ErrorShape::ollama:
            return "OllamaError";
        case ErrorShape::openai:
        case ErrorShape::responses:
            break;
    }
    return "OpenAIError";
}

struct Refusal {
    const char* status;
    const char* description;
    bool needs_body = false, needs_key = false;
};

constexpr Refusal refusals[] = {
    {"400", "The request is malformed, or asks for what is not possible; `param` names the field.", true},
    {"401", "A key is needed, or the key is not known.", false, true},
    {"403", "The Host or Origin of the request may not use this server, or it takes a key.", false, true},
    {"404", "There is no such model; the message lists those that there are.", false, true},
    {"408", "The body took too long to arrive.", true},
    {"409", "The model is in use, or not loaded.", false, true},
    {"413", "The body is too large.", true},
    {"429", "Too many requests wait already; Retry-After says when to try again.", true},
    {"500", "The server failed."},
    {"501", "Not supported here.", false, true},
    {"503", "The model cannot be used now, or the server is going down; Retry-After says when to try again."},
    {"504", "The answer was not ready in time.", true},
};

/// Of server-sent events each one is described, of lines the whole.
Json stream_content(std::string_view type) {
    if (type != "text/event-stream") return {{"schema", {{"type", "string"}}}};
    return {
        {"schema",
         {{"type", "object"}, {"properties", {{"event", {{"type", "string"}}}, {"data", {{"type", "string"}}}}}, {"required", {"data"}}}}};
}

Json responses(const Endpoint& endpoint) {
    Json content = Json::object();
    const Json text = {{"schema", {{"type", "string"}}}};
    content[endpoint.content_type] =
        endpoint.schema ? Json{{"schema", {{"$ref", concat("#/components/schemas/", endpoint.schema)}}}} : text;
    if (!endpoint.stream_type.empty()) content[std::string(endpoint.stream_type)] = stream_content(endpoint.stream_type);
    Json out = {{"200", {{"description", "The answer."}, {"content", std::move(content)}}}};
    const bool has_body = std::string_view(endpoint.method) == "POST";
    const Json error = {{"application/json", {{"schema", {{"$ref", concat("#/components/schemas/", error_name(endpoint.errors))}}}}}};
    for (const Refusal& refusal : refusals)
        if ((!refusal.needs_body || has_body) && (!refusal.needs_key || !is_public_path(endpoint.path)))
            out[refusal.status] = {{"description", refusal.description}, {"content", error}};
    return out;
}

Json operation(const Endpoint& endpoint) {
    Json json = {{"tags", {endpoint.tag}}, {"summary", endpoint.summary}};
    if (Json list = parameters(endpoint); !list.empty()) json["parameters"] = std::move(list);
    if (!endpoint.fields.empty())
        json["requestBody"] = {{"required", true}, {"content", {{"application/json", {{"schema", body_schema(endpoint)}}}}}};
    json["responses"] = responses(endpoint);
    if (is_public_path(endpoint.path)) json["security"] = Json::array();
    return json;
}

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

}  // namespace

Json openapi_document(const std::string& root_path) {
    Json paths = Json::object();
    for (const Endpoint& endpoint : endpoints())
        if (!endpoint.is_hidden) paths[endpoint.path][lower(endpoint.method)] = operation(endpoint);
    Json schemas = answer_schemas();
    schemas.update(Json::parse(input_schemas));
    return {{"openapi", "3.1.0"},
            {"info",
             {{"title", "quern"},
              {"version", program_version()},
              {"description", "Language models behind the APIs of OpenAI, Anthropic, llama.cpp and Ollama."}}},
            {"servers", Json::array({{{"url", root_path.empty() ? "/" : root_path}}})},
            {"security", Json::array({{{"bearer", Json::array()}}, {{"header", Json::array()}}, Json::object()})},
            {"paths", std::move(paths)},
            {"components",
             {{"schemas", std::move(schemas)},
              {"securitySchemes",
               {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}},
                {"header", {{"type", "apiKey"}, {"in", "header"}, {"name", "X-Api-Key"}}}}}}}};
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
