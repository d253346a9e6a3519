#include "tools/serve/settings.h"

#include <algorithm>
#include <charconv>

#include "tools/environment.h"
#include "tools/serve/config_file.h"

namespace quern {
namespace {

using Kind = Setting::Kind;

constexpr Setting settings[] = {
    {"model", "-m,--model", "the model: a GGUF file", "FILE", Kind::text, 0, 0, nullptr,
     [](ModelSettings& model, const Json& value) { model.engine.model_path = value; }},
    {"model_alias", "-a,--model-alias,--alias", "the name that clients call it by; without: the file's name", "NAME", Kind::text, 0, 0,
     nullptr, [](ModelSettings& model, const Json& value) { model.alias = value; }},
    {"host", "--host", "address to listen on [127.0.0.1]", "HOST", Kind::text, 0, 0,
     [](ServeSettings& server, const Json& value) { server.host = value; }},
    {"port", "--port", "port to listen on; 0: any free one [8080]", "N", Kind::integer, 0, 65535,
     [](ServeSettings& server, const Json& value) { server.port = value; }},
    {"api_key", "--api-key", "key that clients must send; may be given several times", "KEY", Kind::texts, 0, 0,
     [](ServeSettings& server, const Json& value) { server.api_keys = value; }},
    {"allow_open", "--allow-open", "listen on an address that others can reach although there is no API key", "", Kind::boolean, 0, 0,
     [](ServeSettings& server, const Json& value) { server.allow_open = value; }},
    {"n_ctx", "-c,--ctx-size,--n-ctx", "window of each request in tokens; 0: the model's own [0]", "N", Kind::integer, 0, 1 << 24, nullptr,
     [](ModelSettings& model, const Json& value) { model.engine.n_ctx = value; }},
    {"n_threads", "-t,--threads,--n-threads", "threads; 0 or -1: the physical cores this process may use [0]", "N", Kind::integer, -1, 1024,
     nullptr, [](ModelSettings& model, const Json& value) { model.engine.n_threads = std::max(0, value.get<int>()); }},
    {"n_batch", "-b,--batch-size,--n-batch", "most tokens in one step [512]", "N", Kind::integer, 1, 1 << 16, nullptr,
     [](ModelSettings& model, const Json& value) { model.engine.n_batch = value; }},
    {"n_gpu_layers", "--n-gpu-layers,--gpu-layers", "-ngl: layers to run on the GPU; -1: all [0]", "N", Kind::integer, -1, 1 << 20, nullptr,
     [](ModelSettings& model, const Json& value) { model.engine.n_gpu_layers = value; }},
    {"parallel", "--parallel", "-np: most requests that run at once; each has the whole window [32]", "N", Kind::integer, -1, 4096, nullptr,
     [](ModelSettings& model, const Json& value) {
         if (value.get<int>() > 0) model.engine.n_sequences = value;
     }},
    {"chat_format", "--chat-format,--chat-template", "a built-in chat format in place of the model's own template: chatml ...", "NAME",
     Kind::text, 0, 0, nullptr, [](ModelSettings& model, const Json& value) { model.engine.chat_format = value; }},
};

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

void apply(const Setting& setting, const Json& value, ServeSettings& server, ModelSettings& model) {
    const Json list = setting.kind == Kind::texts && value.is_string() ? Json::array({value}) : value;
    if (setting.set_server) setting.set_server(server, list);
    if (setting.set_model) setting.set_model(model, list);
}

void apply_environment(ServeSettings& server, ModelSettings& model) {
    for (const Setting& setting : settings) {
        const std::string name = environment_name(setting.key);
        const auto text = environment_variable(name.c_str());
        if (!text) continue;
        const std::string where = concat("the environment variable ", name);
        const Json value = value_from_text(setting, *text, where);
        check_value(setting, value, where);
        apply(setting, value, server, model);
    }
}

void apply_file(const ConfigFile& file, ServeSettings& server, std::vector<ModelSettings>& models) {
    ModelSettings unused;
    for (const auto& [setting, value] : file.server) apply(*setting, value, server, unused);
    if (file.models.empty()) return;
    const ModelSettings from_environment = models.front();
    models.assign(file.models.size(), from_environment);
    for (size_t i = 0; i < models.size(); ++i)
        for (const auto& [setting, value] : file.models[i]) apply(*setting, value, server, models[i]);
}

void apply_flags(const FlagValues& flags, ServeSettings& server, std::vector<ModelSettings>& models) {
    for (const auto& [setting, texts] : flags) {
        if (texts.empty()) continue;
        std::string where = concat("--", setting->key);
        std::replace(where.begin(), where.end(), '_', '-');
        const Json value = setting->kind == Kind::texts ? Json(texts) : value_from_text(*setting, texts.back(), where);
        check_value(*setting, value, where);
        const bool names_one =
            setting->set_model && (std::string_view(setting->key) == "model" || std::string_view(setting->key) == "model_alias");
        if (names_one && models.size() > 1)
            throw InvalidInput(concat(where, ": the configuration file lists ", models.size(), " models; leave this flag out"),
                               setting->key);
        for (ModelSettings& model : models) apply(*setting, value, server, model);
    }
}

}  // namespace

std::span<const Setting> serve_settings() { return settings; }

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
    if (setting.kind == Kind::text) return text;
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
    std::vector<ModelSettings> models(1);
    apply_environment(server, models.front());
    if (!config_file) config_file = environment_variable("CONFIG_FILE");
    if (config_file) apply_file(read_config_file(*config_file), server, models);
    apply_flags(flags, server, models);
    if (models.front().engine.model_path.empty())
        throw InvalidInput("there is no model to serve: give one with -m, or \"models\" in the --config-file", "model");
    server.models = std::move(models);
    return server;
}

}  // namespace quern
