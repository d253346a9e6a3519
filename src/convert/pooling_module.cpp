#include "convert/pooling_module.h"

#include "base/error.h"
#include "base/printable.h"
#include "convert/checkpoint/json_file.h"

namespace quern {
namespace {

using Json = nlohmann::json;

struct PoolingMode {
    const char* entry;
    uint32_t number;  // 0: GGUF has none
};
constexpr PoolingMode modes[] = {{"pooling_mode_mean_tokens", 1},
                                 {"pooling_mode_cls_token", 2},
                                 {"pooling_mode_lasttoken", 3},
                                 {"pooling_mode_max_tokens", 0},
                                 {"pooling_mode_mean_sqrt_len_tokens", 0},
                                 {"pooling_mode_weightedmean_tokens", 0}};

bool has_text(const Json& json, const char* name, std::string_view text) {
    return json.is_object() && json.contains(name) && json[name].is_string() &&
           json[name].get_ref<const std::string&>().find(text) != std::string::npos;
}

/// What comes after pooling must leave vectors as they are, or only bring them to length 1, as everybody does who asks for it.
void check_other_modules(const Json& modules, const std::string& path) {
    for (const Json& module : modules) {
        if (!has_text(module, "type", "")) continue;
        const auto& type = module["type"].get_ref<const std::string&>();
        const std::string_view name = std::string_view(type).substr(type.find_last_of('.') + 1);
        if (name == "Transformer" || name == "Pooling" || name == "Normalize" || name == "CrossEncoder") continue;
        const std::string folder = has_text(module, "path", "") ? module["path"].get<std::string>() : std::string();
        throw ModelError(concat(printable(path), ": the module ", quern::quoted(name), " in ", quern::quoted(folder),
                                " changes vectors in a way that quern cannot do; without its entry here, the vectors before it are made"));
    }
}

/// The module's folder, as modules.json lists it. A path that leads out of the checkpoint's folder is not followed.
std::string module_folder(const std::string& folder) {
    const auto modules = read_json_file_if_there(folder + "/modules.json");
    if (!modules || !modules->is_array()) return "1_Pooling";
    check_other_modules(*modules, folder + "/modules.json");
    for (const Json& module : *modules) {
        if (!has_text(module, "type", "Pooling") || !has_text(module, "path", "")) continue;
        const auto& path = module["path"].get_ref<const std::string&>();
        if (path.find("..") == std::string::npos && !path.starts_with('/')) return path;
    }
    return "1_Pooling";
}

}  // namespace

std::optional<uint32_t> read_pooling_type(const std::string& folder) {
    const std::string path = folder + "/" + module_folder(folder) + "/config.json";
    const auto json = read_json_file_if_there(path);
    if (!json || !json->is_object()) return std::nullopt;
    std::optional<uint32_t> type;
    for (const PoolingMode& mode : modes) {
        if (!json->contains(mode.entry) || (*json)[mode.entry] != true) continue;
        if (type || mode.number == 0)
            throw ModelError(concat(printable(path), ": ", mode.entry, type ? " beside another way of pooling" : "",
                                    " is not known; quern knows mean, cls and last alone"));
        type = mode.number;
    }
    return type;
}

}  // namespace quern
