#include "tools/serve/reload.h"

#include <algorithm>
#include <fstream>
#include <functional>

#include "base/log.h"
#include "base/printable.h"
#include "tools/environment.h"

namespace quern {
namespace {

std::vector<std::string> all_keys(const ServeSettings& settings) {
    std::vector<std::string> keys = settings.api_keys;
    for (const std::string& key : keys)
        if (key.empty()) throw InvalidInput("an API key is empty", "api_key");
    if (settings.api_key_file.empty()) return keys;
    std::ifstream file(settings.api_key_file);
    if (!file) throw InvalidInput(concat("cannot read the keys in ", settings.api_key_file), "api_key_file");
    for (std::string line; std::getline(file, line);) {
        line.erase(std::find(line.begin(), line.end(), '#'), line.end());
        const size_t begin = line.find_first_not_of(" \t\r"), end = line.find_last_not_of(" \t\r");
        if (begin != std::string::npos) keys.push_back(line.substr(begin, end - begin + 1));
    }
    if (keys.size() == settings.api_keys.size()) throw InvalidInput(concat("there is no key in ", settings.api_key_file), "api_key_file");
    return keys;
}

/// Takes over what may change, and names what else differs.
std::string take_over(const ServeSettings& fresh, ServeSettings& settings) {
    std::string others;
    for (const Setting& setting : serve_settings()) {
        if (setting.reload)
            setting.reload(fresh, settings);
        else if (setting.get_server && setting.get_server(fresh) != setting.get_server(settings))
            others += concat(others.empty() ? "" : ", ", setting.key);
    }
    settings.models = fresh.models;
    return others;
}

/// One that is listed twice has the settings of its first entry: those that the later one sets otherwise are named.
void warn_of_ignored_settings(const ServeSettings& settings) {
    constexpr const char* joined[] = {"model", "model_alias", "parallel", "pin", "preload", "lora"};  // or may not differ
    const Json models = to_json(settings)["models"], usual = to_json({.models = {ModelEntry{}}})["models"][0];
    for (size_t later = 1; later < models.size(); ++later) {
        size_t first = 0;
        while (settings.models[first].options.model_path != settings.models[later].options.model_path ||
               model_id(settings.models[first]) != model_id(settings.models[later]))
            ++first;
        std::string names;
        for (const auto& [key, value] : models[later].items())
            if (value != models[first][key] && value != usual[key] &&
                std::find(std::begin(joined), std::end(joined), key) == std::end(joined))
                names += concat(names.empty() ? "" : ", ", key);
        if (!names.empty())
            log_warning(concat("the model ", model_id(settings.models[later]),
                               " is listed twice: its later entry only adds requests at once (", settings.models[later].options.n_sequences,
                               "), and these settings of it are ignored: ", names));
    }
}

std::string described(const char* what, const std::vector<std::string>& ids) {
    std::string text;
    for (const std::string& id : ids) text += concat(text.empty() ? concat("; ", what) : std::string(", "), printable(id));
    return text;
}

// Also when the settings have a mistake: the old files may have been moved away.
void reopen_logs(ApiService& service) noexcept try {
    reopen_log_file();
    service.reopen_access_log();
} catch (const std::exception& error) {
    log_error(concat("a log goes on where it was: ", error.what()));
}

}  // namespace

AccessRules access_rules(const ServeSettings& settings, bool is_local) {
    const std::vector<std::string> keys = all_keys(settings);
    if (!is_local && keys.empty() && !settings.allow_open)
        throw InvalidInput(concat("other machines can reach the host ", settings.host,
                                  ": protect the server with --api-key, or say --allow-open if everybody may use it"),
                           "host");
    const bool checks_hosts = is_local && !settings.allow_open && unix_socket_path(settings.host).empty();
    return AccessRules(keys, settings.host, checks_hosts);
}

std::string missing_files(const std::vector<ModelEntry>& models) {
    std::string paths;
    for (const ModelEntry& model : models)
        if (model.is_missing) paths += concat(paths.empty() ? "" : ", ", model.options.model_path);
    return paths;
}

std::vector<ModelEntry> models_of(const ServeSettings& settings) {
    std::vector<ModelEntry> models = settings.models;
    for (ModelEntry& model : models) {
        model.is_missing = !is_model_file_there(model.options.model_path);
        model.options.isa = isa_from_environment();
    }
    const bool is_any_there = std::any_of(models.begin(), models.end(), [](const ModelEntry& model) { return !model.is_missing; });
    if (!models.empty() && !is_any_there) throw InvalidInput(concat("no such model file: ", missing_files(models)), "model");
    for (const ModelEntry& model : models)
        if (model.is_missing)
            log_warning(concat("the model ", model_id(model), " cannot be loaded: there is no file ", model.options.model_path,
                               "; once it is there, the model is loaded when it is asked for"));
    warn_of_ignored_settings(settings);
    return models;
}

ReloadableSettings::ReloadableSettings(FlagValues flags, std::optional<std::string> config_file)
    : flags_(std::move(flags)), config_file_(std::move(config_file)), current_(collect_settings(flags_, config_file_)) {}

void ReloadableSettings::reload(ModelStore& store, ApiService& service, HttpServer& server) noexcept try {
    reopen_logs(service);
    apply(collect_settings(flags_, config_file_), store, service, server);
} catch (const std::exception& error) {
    log_error(concat("the settings stay as they were: ", error.what()));
}

// All that can fail comes first, the store's entries last of it.
void ReloadableSettings::apply(ServeSettings fresh, ModelStore& store, ApiService& service, HttpServer& server) {
    ServeSettings next = current_;
    const std::string others = take_over(fresh, next);
    AccessRules access = access_rules(next, is_loopback(next.host));
    std::vector<ModelEntry> models = models_of(next);
    CorsRules cors(next.cors_origins);
    const std::function<void()> install_certificate = server.read_certificate();
    const ModelChanges changes = store.replace(std::move(models));
    service.set_rules(std::move(access), std::move(cors));
    install_certificate();
    current_ = std::move(next);
    log_lines(concat("read the settings anew", described("new models: ", changes.added), described("changed: ", changes.changed),
                     described("removed: ", changes.removed), "\n"));
    if (!others.empty()) log_warning(concat("these settings have changed and need a restart: ", others));
}

}  // namespace quern
