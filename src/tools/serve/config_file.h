// The configuration file of llama-cpp-python's server: {"host": ..., "port": ..., "models": [{"model": ..., "n_ctx": ...}, ...]}.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/serve/settings.h"

namespace quern {

/// Checked values, in the order of the file.
struct ConfigFile {
    struct Value {
        const Setting* setting;
        Json value;
        std::string where;  ///< "config.json: models[0].n_ctx"
    };
    using Values = std::vector<Value>;
    Values server;
    std::vector<Values> models;
};

/// JSON, or YAML in a file that ends in .yaml or .yml. Comments and trailing commas are allowed. A key is that of a
/// setting, or one of its flags with underscores.
/// @throws InvalidInput  one line: the file cannot be read or parsed, a key is unknown, a value has the wrong type or is out of range
ConfigFile read_config_file(const std::string& path);

}  // namespace quern
