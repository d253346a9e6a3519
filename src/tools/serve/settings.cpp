#include "tools/serve/settings.h"

#include <algorithm>
#include <charconv>
#include <iomanip>
#include <sstream>

#include "base/log.h"
#include "tools/environment.h"
#include "tools/serve/config_file.h"
#include "tools/template_sources.h"
#include "tools/text_file.h"

namespace quern {
namespace {

using Kind = Setting::Kind;

/// Variables of llama.cpp's server that are named after none of its flags.
constexpr std::pair<std::string_view, const char*> llama_variables[] = {
    {"api_key", "LLAMA_API_KEY"},          {"log_file", "LLAMA_LOG_FILE"},
    {"verbosity", "LLAMA_LOG_VERBOSITY"},  {"n_batch", "LLAMA_ARG_BATCH"},
    {"n_ubatch", "LLAMA_ARG_UBATCH"},      {"parallel", "LLAMA_ARG_N_PARALLEL"},
    {"embedding", "LLAMA_ARG_EMBEDDINGS"}, {"rope_scaling_type", "LLAMA_ARG_ROPE_SCALING_TYPE"},
};

std::vector<std::string> split_flags(const Setting& setting) {
    std::vector<std::string> flags;
    std::istringstream text(all_flags(setting));
    for (std::string flag; std::getline(text, flag, ',');) flags.push_back(flag);
    return flags;
}

const char* kind_name(Kind kind) {
    switch (kind) {
        case Kind::text:
            return "a text";
        case Kind::integer:
            return "an integer";
        case Kind::real:
            return "a number";
        case Kind::boolean:
            return "true or false";
        case Kind::texts:
            return "a text or a list of texts";
        case Kind::name:
            return "a text or a number";
        case Kind::object:
            return "an object";
        case Kind::any:
            return "anything";
    }
    return "";
}

bool has_kind(Kind kind, const Json& value) {
    switch (kind) {
        case Kind::text:
            return value.is_string();
        case Kind::integer:
            return value.is_number_integer();
        case Kind::real:
            return value.is_number();
        case Kind::boolean:
            return value.is_boolean();
        case Kind::texts:
            return value.is_string() ||
                   (value.is_array() && std::all_of(value.begin(), value.end(), [](const Json& each) { return each.is_string(); }));
        case Kind::name:
            return value.is_string() || value.is_number_integer();
        case Kind::object:
            return value.is_object();
        case Kind::any:
            return true;
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

bool asks_for_nothing(const Setting& setting, const Json& value) {
    const Json values = Json::parse(setting.neutral);
    const auto same = [&](const Json& each) {  // as text too: flags and the environment have nothing else
        return each == value ||
               (value.is_string() && value.get<std::string>() == (each.is_string() ? each.get<std::string>() : each.dump()));
    };
    return std::any_of(values.begin(), values.end(), same);
}

/// Takes values over, and remembers which settings were given in vain.
class Settings {
  public:
    void apply(const Setting& setting, const Json& value, const std::string& where, std::span<ModelEntry> targets) {
        const Json given = setting.kind == Kind::texts && value.is_string() ? Json::array({value}) : value;
        if (setting.set_server) setting.set_server(server, given);
        if (setting.set_model)
            for (ModelEntry& model : targets) setting.set_model(model, given);
        if ((!setting.refusal && !setting.no_effect) || asks_for_nothing(setting, value)) return;
        if (setting.refusal) throw InvalidInput(concat(where, ": ", setting.refusal), setting.key);
        if (std::find(in_vain_.begin(), in_vain_.end(), &setting) != in_vain_.end()) return;
        in_vain_.push_back(&setting);
        log_warning(concat(where, " has no effect: ", setting.no_effect));
    }

    ServeSettings server;
    std::vector<ModelEntry> models{1};

  private:
    std::vector<const Setting*> in_vain_;
};

/// The setting's variable: its own name, or that of llama.cpp for one of its flags.
std::optional<std::pair<std::string, std::string>> variable_of(const Setting& setting) {
    const auto look = [](const std::string& name) -> std::optional<std::pair<std::string, std::string>> {
        const auto text = environment_variable(name.c_str());
        return text ? std::optional(std::pair(name, *text)) : std::nullopt;
    };
    if (auto found = look(environment_name(setting.key))) return found;
    for (const std::string& flag : split_flags(setting))
        if (flag.starts_with("--"))
            if (auto found = look("LLAMA_ARG_" + environment_name(flag.substr(2)))) return found;
    for (const auto& [key, name] : llama_variables)
        if (key == setting.key)
            if (auto found = look(name)) return found;
    return std::nullopt;
}

// Each path makes a model, and each alias names the one at its place.
void apply_names(const Setting& setting, const std::vector<std::string>& texts, std::vector<ModelEntry>& models) {
    if (std::string_view(setting.key) == "model") {
        models.resize(texts.size(), models.front());
        for (size_t i = 0; i < texts.size(); ++i) models[i].options.model_path = texts[i];
        return;
    }
    if (texts.size() > models.size())
        throw InvalidInput(
            concat("there are ", texts.size(), " aliases for ", models.size(), " models: each goes with the model at its place"),
            setting.key);
    for (size_t i = 0; i < texts.size(); ++i) models[i].alias = texts[i];
}

/// The texts of a list in JSON; all else is one text.
std::vector<std::string> names_in(const std::string& text) {
    const Json list = Json::parse(text, nullptr, false);
    const bool is_list = list.is_array() && !list.empty() && has_kind(Kind::texts, list);
    return is_list ? list.get<std::vector<std::string>>() : std::vector{text};
}

void apply_environment(Settings& settings, bool (*chosen)(const Setting&)) {
    for (const Setting& setting : serve_settings()) {
        if (!chosen(setting)) continue;
        const auto variable = variable_of(setting);
        if (!variable) continue;
        const std::string where = concat("the environment variable ", variable->first);
        if (names_models(setting)) {
            apply_names(setting, names_in(variable->second), settings.models);
            continue;
        }
        const Json value = value_from_text(setting, variable->second, where);
        check_value(setting, value, where);
        settings.apply(setting, value, where, settings.models);
    }
}

// As in llama-cpp-python, these two come before the file.
bool is_address(const Setting& setting) {
    const std::string_view key = setting.key;
    return key == "host" || key == "port";
}

void apply_file(const ConfigFile& file, Settings& settings) {
    for (const ConfigFile::Value& each : file.server) settings.apply(*each.setting, each.value, each.where, settings.models);
    if (file.models.empty()) return;
    const ModelEntry from_environment = settings.models.front();
    settings.models.assign(file.models.size(), from_environment);
    for (size_t i = 0; i < file.models.size(); ++i)
        for (const ConfigFile::Value& each : file.models[i])
            settings.apply(*each.setting, each.value, each.where, {&settings.models[i], 1});
}

void apply_flags(const FlagValues& flags, bool has_file, Settings& settings) {
    for (const auto& [setting, texts] : flags)  // models stand first in the table, and so do their names here
        if (!texts.empty() && names_models(*setting)) {
            if (has_file && settings.models.size() > 1)
                throw InvalidInput(
                    concat("--", setting->key, ": the configuration file lists ", settings.models.size(), " models; leave this flag out"),
                    setting->key);
            apply_names(*setting, texts, settings.models);
        }
    for (const auto& [setting, texts] : flags) {
        if (texts.empty() || names_models(*setting)) continue;
        const std::string where = flag_of(*setting);
        const Json value = setting->kind == Kind::texts ? Json(texts) : value_from_text(*setting, texts.back(), where);
        check_value(*setting, value, where);
        settings.apply(*setting, value, where, settings.models);
    }
}

/// What depends on several settings.
void complete(ModelEntry& model) {
    EngineOptions& options = model.options;
    if (!model.chat_template_file.empty()) {
        options.chat_template = read_text_file(model.chat_template_file);
        if (options.chat_template.empty()) throw InvalidInput(concat(model.chat_template_file, " is empty"), "chat_template_file");
    }
    if (!model.hf_tokenizer_config_path.empty()) options.chat_template = read_tokenizer_config_template(model.hf_tokenizer_config_path);
    if (!options.chat_template.empty() && !options.chat_format.empty())
        throw InvalidInput("there are two chat templates: a format by name, and a template of your own; leave one out", "chat_format");
    check_chat_format(options.chat_format);
    options.cache_bytes = model.cache ? model.cache_bytes : 0;
    options.n_draft = model.n_draft.value_or(model.usual_draft);
    for (const auto& [key, sources] : model.adapters) options.adapters.insert(options.adapters.end(), sources.begin(), sources.end());
    if (model.adapters_start_off)
        for (AdapterSource& each : options.adapters) each.scale = 0;
}

}  // namespace

std::span<const Setting> serve_settings() {
    static const std::vector<Setting> all = [] {
        std::vector<Setting> rows = model_settings();
        for (auto* part : {server_settings, inert_settings})
            for (const Setting& row : part()) rows.push_back(row);
        return rows;
    }();
    return all;
}

const Setting* find_setting(std::string_view key, bool of_server) {
    for (const Setting& setting : serve_settings())
        if (setting.is_of_server() == of_server && key == setting.key) return &setting;
    std::string flag = concat("--", key);
    std::replace(flag.begin(), flag.end(), '_', '-');
    for (const Setting& setting : serve_settings())
        for (const std::string& each : split_flags(setting))
            if (setting.is_of_server() == of_server && each == flag) return &setting;
    return nullptr;
}

std::string flag_of(const Setting& setting) {
    std::string flag = concat("--", setting.key);
    std::replace(flag.begin(), flag.end(), '_', '-');
    return flag;
}

std::string all_flags(const Setting& setting) {
    const std::string own = flag_of(setting), flags = setting.flags;
    if (flags.empty()) return own;
    return concat(",", flags, ",").find(concat(",", own, ",")) == std::string::npos ? concat(flags, ",", own) : flags;
}

std::string environment_name(const std::string& key) {
    std::string name = key;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
    return name;
}

bool names_models(const Setting& setting) {
    const std::string_view key = setting.key;
    return key == "model" || key == "model_alias";
}

void check_value(const Setting& setting, const Json& value, const std::string& where) {
    if (!has_kind(setting.kind, value))
        throw InvalidInput(concat(where, " must be ", kind_name(setting.kind), ", not ", value.dump()), setting.key);
    if (setting.kind != Kind::integer && setting.kind != Kind::real) return;
    const auto number = value.get<double>();
    if (number >= setting.least && number <= setting.most) return;
    std::ostringstream range;
    range << std::setprecision(12) << setting.least << " to " << setting.most;
    throw InvalidInput(concat(where, " must be from ", range.str(), ", not ", value.dump()), setting.key);
}

Json value_from_text(const Setting& setting, const std::string& text, const std::string& where) {
    if (setting.kind == Kind::text || setting.kind == Kind::name || setting.kind == Kind::any) return text;
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
    const auto read = [&](auto number) -> Json {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (text.empty() || error != std::errc() || end != text.data() + text.size())
            throw InvalidInput(concat(where, " must be ", kind_name(setting.kind), ", not \"", text, "\""), setting.key);
        return number;
    };
    return setting.kind == Kind::real ? read(double{}) : read(int64_t{});
}

ServeSettings collect_settings(const FlagValues& flags, std::optional<std::string> config_file) {
    Settings settings;
    apply_environment(settings, [](const Setting&) { return true; });
    if (!config_file) config_file = environment_variable("CONFIG_FILE");
    if (config_file) {
        apply_file(read_config_file(*config_file), settings);
        apply_environment(settings, is_address);
    }
    apply_flags(flags, config_file.has_value(), settings);
    if (settings.models.front().options.model_path.empty())
        throw InvalidInput("there is no model to serve: give one with -m, or \"models\" in the --config-file", "model");
    for (ModelEntry& model : settings.models) complete(model);
    settings.server.models = std::move(settings.models);
    return std::move(settings.server);
}

Json to_json(const ServeSettings& settings) {
    Json out = Json::object(), models = Json::array();
    for (const Setting& setting : serve_settings())
        if (setting.get_server) out[setting.key] = setting.get_server(settings);
    for (const ModelEntry& entry : settings.models) {
        Json& model = models.emplace_back(Json::object());
        for (const Setting& setting : serve_settings())
            if (setting.get_model) model[setting.key] = setting.get_model(entry);
    }
    out["models"] = std::move(models);
    return out;
}

std::string default_text(const Setting& setting) {
    const Json value = setting.get_server ? setting.get_server({}) : setting.get_model ? setting.get_model({}) : Json(nullptr);
    if (value.is_null() || value.empty()) return "";
    return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string settings_table() {
    std::string table, group;
    for (const Setting& setting : serve_settings()) {
        if (group != setting.group) {
            group = setting.group;
            const bool works = !setting.refusal && !setting.no_effect;
            table += concat(table.empty() ? "" : "\n", "## ", group, "\n\n| key | flags | default | ", works ? "meaning" : "why",
                            " |\n|---|---|---|---|\n");
        }
        std::string flags;
        for (const std::string& flag : split_flags(setting)) flags += concat(flags.empty() ? "`" : " `", flag, "`");
        const char* about = setting.refusal ? setting.refusal : setting.no_effect ? setting.no_effect : setting.description;
        table += concat("| `", setting.key, "` | ", flags, " | ", default_text(setting), " | ", about, " |\n");
    }
    return table;
}

}  // namespace quern
