// The settings of `quern serve`. Each can come from a flag, from the configuration file, or from the environment: one table says how.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace quern {

/// One model to serve.
struct ModelSettings {
    EngineOptions engine;
    std::string alias;
};

struct ServeSettings {
    std::string host = "127.0.0.1";
    int64_t port = 8080;
    std::vector<std::string> api_keys;
    bool allow_open = false;
    std::vector<ModelSettings> models;
};

/// One setting: `key` is its name in the configuration file, in upper case its environment variable, and `flags` its names on the
/// command line. A value is JSON: text, an integer, true or false, or a list of texts.
struct Setting {
    const char* key;
    const char* flags;
    const char* description;
    const char* type_name;
    enum class Kind : uint8_t { text, integer, boolean, texts } kind;
    int64_t least = 0, most = 0;
    void (*set_server)(ServeSettings&, const Json&) = nullptr;  ///< one of the two is set
    void (*set_model)(ModelSettings&, const Json&) = nullptr;
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
ServeSettings collect_settings(const FlagValues& flags, std::optional<std::string> config_file);

}  // namespace quern
