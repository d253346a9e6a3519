// The settings of `quern serve`. Each can come from a flag, from the configuration file, or from the environment: one table says how.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "server/model_store.h"

namespace quern {

struct ServeSettings {
    std::string host = "127.0.0.1";
    int64_t port = 8080;
    std::vector<std::string> api_keys;
    std::string api_key_file;
    bool allow_open = false;
    std::string certificate_file, key_file;
    std::vector<std::string> cors_origins;
    std::string root_path;
    std::string access_log;
    std::string log_file;
    std::optional<int64_t> verbosity;
    bool verbose = false, log_disable = false;
    int64_t memory_budget_mib = 0;
    int64_t timeout_s = 0, stop_timeout_s = 30;
    int64_t max_body_mib = 64;
    int64_t n_connections = 8192;
    std::vector<ModelEntry> models;
};

/// One setting: `key` is its name in the configuration file, in upper case its environment variable, and `flags` its names on the
/// command line, beside `key` with dashes. A value is JSON: text, an integer, true or false, or a list of texts; a `name` may also be a
/// number, an `object` is JSON even as text.
struct Setting {
    const char* key;
    const char* flags;
    const char* description;
    const char* type_name;
    enum class Kind : uint8_t { text, integer, real, boolean, texts, name, object, any } kind;
    double least = 0, most = 0;
    void (*set_server)(ServeSettings&, const Json&) = nullptr;  ///< one of the two is set, but for those that do nothing here
    void (*set_model)(ModelEntry&, const Json&) = nullptr;
    Json (*get_server)(const ServeSettings&) = nullptr;  ///< null: not set; of keys, which nobody is to see, and of synonyms: nullptr
    Json (*get_model)(const ModelEntry&) = nullptr;
    const char* group = "";
    bool has_log_flag = false;        ///< declare_log_flags() declares its flag, which acts at once
    const char* refusal = nullptr;    ///< why it cannot be used here
    const char* no_effect = nullptr;  ///< why it has no effect here
    const char* neutral = "[]";       ///< for these two: values that ask for nothing else, a JSON list
    bool is_server = false;           ///< for these two: it stands at the top of the configuration file
    void (*reload)(const ServeSettings& fresh, ServeSettings&) = nullptr;  ///< takes it over while the server runs; nullptr: at a restart

    bool is_of_server() const { return set_server != nullptr || is_server; }
};

/// All settings, by group: those of models first.
std::span<const Setting> serve_settings();
/// The parts of that list.
std::vector<Setting> model_settings();
std::vector<Setting> server_settings();
std::vector<Setting> inert_settings();

/// The setting with that key, or with a flag that is that key with dashes: "n_ctx", "ctx_size". nullptr: none.
const Setting* find_setting(std::string_view key, bool of_server);

/// Its key as a flag: "--n-ctx".
std::string flag_of(const Setting& setting);
/// All flags of a setting, its key among them: "-c,--ctx-size,--n-ctx".
std::string all_flags(const Setting& setting);

/// The models themselves or their aliases: each time that it is given, it stands for another model.
bool names_models(const Setting& setting);

/// What it is without being set, as people write it.
std::string default_text(const Setting& setting);

/// "N_CTX" for "n_ctx".
std::string environment_name(const std::string& key);

/// Checks a value against its setting. @param where  how the user wrote it: "--n-ctx", "N_CTX", "config.json: models[0].n_ctx"
/// @throws InvalidInput  one line naming `where`
void check_value(const Setting& setting, const Json& value, const std::string& where);

/// A value written as plain text, as in flags and in the environment. @throws InvalidInput
Json value_from_text(const Setting& setting, const std::string& text, const std::string& where);

/// What flags say about each setting, by key.
using FlagValues = std::vector<std::pair<const Setting*, std::vector<std::string>>>;

/// The settings from all three sources: flags go before the file, and the file before the environment, but for HOST and PORT, which go
/// before the file. Settings without effect are said in the log, once each.
/// @param config_file  from its flag; else the variable CONFIG_FILE names it
/// Several --model flags make several models, and aliases go with them in order.
ServeSettings collect_settings(const FlagValues& flags, std::optional<std::string> config_file);

/// What `quern serve` would run with, as a configuration file. Keys are left out.
Json to_json(const ServeSettings& settings);

/// All settings as a table in Markdown, with their defaults.
std::string settings_table();

}  // namespace quern
