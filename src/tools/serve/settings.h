// The settings of `quern serve`. Each can come from a flag, from the configuration file, or from the environment: one table says how.
#pragma once

#include <optional>
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
    int64_t memory_budget_mib = 0;
    int64_t timeout_s = 0, stop_timeout_s = 30;
    int64_t max_body_mib = 64;
    int64_t n_connections = 8192;
    std::vector<ModelEntry> models;
};

/// One setting: `key` is its name in the configuration file, in upper case its environment variable, and `flags` its names on the
/// command line. A value is JSON: text, an integer, true or false, or a list of texts; a `name` may also be a number, an
/// `object` is JSON even as text.
struct Setting {
    const char* key;
    const char* flags;
    const char* description;
    const char* type_name;
    enum class Kind : uint8_t { text, integer, boolean, texts, name, object } kind;
    int64_t least = 0, most = 0;
    void (*set_server)(ServeSettings&, const Json&) = nullptr;  ///< one of the two is set
    void (*set_model)(ModelEntry&, const Json&) = nullptr;
};

/// All settings.
std::span<const Setting> serve_settings();

/// "N_CTX" for "n_ctx".
std::string environment_name(const std::string& key);

/// Checks a value against its setting. @param where  how the user wrote it: "--n-ctx", "N_CTX", "config.json: models[0].n_ctx"
/// @throws InvalidInput  one line naming `where`
void check_value(const Setting& setting, const Json& value, const std::string& where);

/// A value written as plain text, as in flags and in the environment. @throws InvalidInput
Json value_from_text(const Setting& setting, const std::string& text, const std::string& where);

/// What flags say about each setting, by key.
using FlagValues = std::vector<std::pair<const Setting*, std::vector<std::string>>>;

/// The settings from all three sources: flags go before the file, and the file before the environment.
/// @param config_file  from its flag; else the variable CONFIG_FILE names it
/// Several --model flags make several models, and aliases go with them in order.
ServeSettings collect_settings(const FlagValues& flags, std::optional<std::string> config_file);

/// What `quern serve` would run with, as a configuration file. Keys are left out.
Json to_json(const ServeSettings& settings);

}  // namespace quern
