// The configuration file of llama-cpp-python's server: {"host": ..., "port": ..., "models": [{"model": ..., "n_ctx": ...}, ...]}.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/serve/settings.h"

namespace quern {

/// Checked values, in the order of the file.
struct ConfigFile {
    using Values = std::vector<std::pair<const Setting*, Json>>;
    Values server;
    std::vector<Values> models;
};

/// Comments and trailing commas are allowed. Keys that only tune memory or speed are accepted without effect, unknown ones with a warning.
/// @throws InvalidInput  one line: the file cannot be read, is not JSON, or a value has the wrong type or is out of range
ConfigFile read_config_file(const std::string& path);

}  // namespace quern
