#include "tools/serve/config_file.h"

#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/log.h"
#include "base/printable.h"
#include "tools/foreign_flags.h"
#include "tools/serve/relaxed_json.h"
#include "tools/serve/yaml.h"

namespace quern {
namespace {

ConfigFile::Values read_values(const Json& object, bool of_model, const std::string& where) {
    ConfigFile::Values values;
    for (const auto& [key, value] : object.items()) {
        if (value.is_null() || (!of_model && key == "models")) continue;
        const std::string place = concat(where, key);
        const Setting* setting = find_setting(key, !of_model);
        if (setting == nullptr && find_setting(key, of_model))
            throw InvalidInput(
                concat(place, of_model ? " belongs beside \"models\", not into one of them" : " belongs into an entry of \"models\""), key);
        if (const auto foreign = setting == nullptr ? find_foreign_key(key) : std::nullopt) {
            if (foreign->is_refused) throw InvalidInput(concat(place, ": ", foreign->why), key);
            log_warning(concat(place, " has no effect: ", foreign->why));
            continue;
        }
        if (setting == nullptr) throw InvalidInput(concat(place, " is no setting; quern serve --help lists them"), key);
        check_value(*setting, value, place);
        values.push_back({setting, value, place});
    }
    return values;
}

Json parse_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!file.is_open() || file.bad()) throw InvalidInput(concat("cannot read the configuration file ", path), "config_file");
    if (path.ends_with(".yaml") || path.ends_with(".yml")) {
        try {
            return json_from_yaml(text);
        } catch (const InvalidInput& error) {
            throw InvalidInput(concat(path, " is not valid YAML: ", one_line(error.what())), "config_file");
        }
    }
    try {
        return Json::parse(to_strict_json(text));
    } catch (const Json::exception& error) {
        std::string message = error.what();
        if (const size_t end = message.find("] "); end != std::string::npos) message.erase(0, end + 2);
        throw InvalidInput(concat(path, " is not valid JSON: ", one_line(message)), "config_file");
    }
}

}  // namespace

ConfigFile read_config_file(const std::string& path) {
    const Json json = parse_file(path);
    if (!json.is_object()) throw InvalidInput(concat(path, " must hold an object"), "config_file");
    ConfigFile file{.server = read_values(json, false, concat(path, ": ")), .models = {}};
    const auto models = json.find("models");
    if (models == json.end() || models->is_null()) return file;
    if (!models->is_array()) throw InvalidInput(concat(path, ": models must be a list of objects"), "models");
    for (size_t i = 0; i < models->size(); ++i) {
        const Json& model = (*models)[i];
        const std::string where = concat(path, ": models[", i, "]");
        if (!model.is_object()) throw InvalidInput(concat(where, " must be an object"), "models");
        if (!model.contains("model")) throw InvalidInput(concat(where, " has no \"model\": the GGUF file"), "model");
        file.models.push_back(read_values(model, true, where + "."));
    }
    return file;
}

}  // namespace quern
