#include "tools/serve/settings.h"

#include <algorithm>
#include <charconv>

#include "tools/environment.h"
#include "tools/serve/config_file.h"

namespace quern {
namespace {

using Kind = Setting::Kind;

const char* kind_name(Kind kind) {
    switch (kind) {
        case Kind::text:
            return "a text";
        case Kind::integer:
            return "an integer";
        case Kind::boolean:
            return "true or false";
        case Kind::texts:
            return "a text or a list of texts";
        case Kind::name:
            return "a text or a number";
        case Kind::object:
            return "an object";
    }
    return "";
}

bool has_kind(Kind kind, const Json& value) {
    switch (kind) {
        case Kind::text:
            return value.is_string();
        case Kind::integer:
            return value.is_number_integer();
        case Kind::boolean:
            return value.is_boolean();
        case Kind::texts:
            return value.is_string() ||
                   (value.is_array() && std::all_of(value.begin(), value.end(), [](const Json& each) { return each.is_string(); }));
        case Kind::name:
            return value.is_string() || value.is_number_integer();
        case Kind::object:
            return value.is_object();
    }
    return false;
}

std::optional<bool> to_boolean(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const char* yes : {"1", "on", "t", "true", "y", "yes", "enabled"})
        if (text == yes) return true;
    for (const char* no : {"0", "off", "f", "false", "n", "no", "disabled"})
        if (text == no) return false;
    return std::nullopt;
}

void apply(const Setting& setting, const Json& value, ServeSettings& server, ModelEntry& model) {
    const Json list = setting.kind == Kind::texts && value.is_string() ? Json::array({value}) : value;
    if (setting.set_server) setting.set_server(server, list);
    if (setting.set_model) setting.set_model(model, list);
}

void apply_environment(ServeSettings& server, ModelEntry& model) {
    for (const Setting& setting : serve_settings()) {
        const std::string name = environment_name(setting.key);
        const auto text = environment_variable(name.c_str());
        if (!text) continue;
        const std::string where = concat("the environment variable ", name);
        const Json value = value_from_text(setting, *text, where);
        check_value(setting, value, where);
        apply(setting, value, server, model);
    }
}

void apply_file(const ConfigFile& file, ServeSettings& server, std::vector<ModelEntry>& models) {
    ModelEntry unused;
    for (const auto& [setting, value] : file.server) apply(*setting, value, server, unused);
    if (file.models.empty()) return;
    const ModelEntry from_environment = models.front();
    models.assign(file.models.size(), from_environment);
    for (size_t i = 0; i < models.size(); ++i)
        for (const auto& [setting, value] : file.models[i]) apply(*setting, value, server, models[i]);
}

bool is_one_model(const Setting& setting) {
    const std::string_view key = setting.key;
    return key == "model" || key == "model_alias";
}

// Each --model makes a model, and each --model-alias names the one at its place.
void apply_names(const Setting& setting, const std::vector<std::string>& texts, bool has_file, std::vector<ModelEntry>& models) {
    if (has_file && models.size() > 1)
        throw InvalidInput(concat("--", setting.key, ": the configuration file lists ", models.size(), " models; leave this flag out"),
                           setting.key);
    if (std::string_view(setting.key) == "model") {
        models.resize(texts.size(), models.front());
        for (size_t i = 0; i < texts.size(); ++i) models[i].options.model_path = texts[i];
        return;
    }
    if (texts.size() > models.size())
        throw InvalidInput(
            concat("there are ", texts.size(), " aliases for ", models.size(), " models: each goes with the --model at its place"),
            setting.key);
    for (size_t i = 0; i < texts.size(); ++i) models[i].alias = texts[i];
}

void apply_flags(const FlagValues& flags, bool has_file, ServeSettings& server, std::vector<ModelEntry>& models) {
    for (const auto& [setting, texts] : flags)  // models stand first in the table, and so do their names here
        if (!texts.empty() && is_one_model(*setting)) apply_names(*setting, texts, has_file, models);
    for (const auto& [setting, texts] : flags) {
        if (texts.empty() || is_one_model(*setting)) continue;
        std::string where = concat("--", setting->key);
        std::replace(where.begin(), where.end(), '_', '-');
        const Json value = setting->kind == Kind::texts ? Json(texts) : value_from_text(*setting, texts.back(), where);
        check_value(*setting, value, where);
        for (ModelEntry& model : models) apply(*setting, value, server, model);
    }
}

}  // namespace

std::string environment_name(const std::string& key) {
    std::string name = key;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return name;
}

void check_value(const Setting& setting, const Json& value, const std::string& where) {
    if (!has_kind(setting.kind, value))
        throw InvalidInput(concat(where, " must be ", kind_name(setting.kind), ", not ", value.dump()), setting.key);
    if (setting.kind != Kind::integer) return;
    const bool is_huge = value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
    const int64_t number = is_huge ? INT64_MAX : value.get<int64_t>();
    if (number < setting.least || number > setting.most)
        throw InvalidInput(concat(where, " must be from ", setting.least, " to ", setting.most, ", not ", value.dump()), setting.key);
}

Json value_from_text(const Setting& setting, const std::string& text, const std::string& where) {
    if (setting.kind == Kind::text || setting.kind == Kind::name) return text;
    if (setting.kind == Kind::object) {
        Json object = Json::parse(text, nullptr, false);
        if (!object.is_object()) throw InvalidInput(concat(where, " must be a JSON object"), setting.key);
        return object;
    }
    if (setting.kind == Kind::texts) {  // several in one variable: a JSON list
        const Json list = Json::parse(text, nullptr, false);
        return list.is_array() ? list : Json(text);
    }
    if (setting.kind == Kind::boolean) {
        const auto flag = to_boolean(text);
        if (!flag) throw InvalidInput(concat(where, " must be true or false, not \"", text, "\""), setting.key);
        return *flag;
    }
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
        throw InvalidInput(concat(where, " must be an integer, not \"", text, "\""), setting.key);
    return number;
}

ServeSettings collect_settings(const FlagValues& flags, std::optional<std::string> config_file) {
    ServeSettings server;
    std::vector<ModelEntry> models(1);
    apply_environment(server, models.front());
    if (!config_file) config_file = environment_variable("CONFIG_FILE");
    if (config_file) apply_file(read_config_file(*config_file), server, models);
    apply_flags(flags, config_file.has_value(), server, models);
    if (models.front().options.model_path.empty())
        throw InvalidInput("there is no model to serve: give one with -m, or \"models\" in the --config-file", "model");
    for (ModelEntry& model : models)
        if (model.adapters_start_off)
            for (AdapterSource& each : model.options.adapters) each.scale = 0;
    server.models = std::move(models);
    return server;
}

namespace {

Json adapters_json(const EngineOptions& options) {
    Json list = Json::array();
    for (const AdapterSource& each : options.adapters) list.push_back(concat(each.path, "=", each.scale));
    return list;
}

}  // namespace

Json to_json(const ServeSettings& settings) {
    Json models = Json::array();
    for (const ModelEntry& model : settings.models)
        models.push_back({{"model", model.options.model_path},
                          {"model_alias", model.alias.empty() ? Json(nullptr) : Json(model.alias)},
                          {"n_ctx", model.options.n_ctx},
                          {"n_threads", model.options.n_threads},
                          {"n_batch", model.options.n_batch},
                          {"n_gpu_layers", model.options.n_gpu_layers},
                          {"parallel", model.options.n_sequences},
                          {"n_queue", model.options.n_queue},
                          {"kv_budget", model.options.kv_bytes >> 20},
                          {"lora", adapters_json(model.options)},
                          {"chat_format", model.options.chat_format.empty() ? Json(nullptr) : Json(model.options.chat_format)},
                          {"chat_template_kwargs", model.template_variables},
                          {"pin", model.pin},
                          {"preload", model.preload},
                          {"ttl", model.ttl.count()}});
    const auto text_or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
    return {{"host", settings.host},
            {"port", settings.port},
            {"api_key_file", text_or_null(settings.api_key_file)},
            {"allow_open", settings.allow_open},
            {"ssl_certfile", text_or_null(settings.certificate_file)},
            {"ssl_keyfile", text_or_null(settings.key_file)},
            {"cors_origins", settings.cors_origins},
            {"root_path", settings.root_path},
            {"access_log", text_or_null(settings.access_log)},
            {"memory_budget", settings.memory_budget_mib},
            {"timeout", settings.timeout_s},
            {"stop_timeout", settings.stop_timeout_s},
            {"max_body", settings.max_body_mib},
            {"max_connections", settings.n_connections},
            {"models", std::move(models)}};
}

}  // namespace quern
