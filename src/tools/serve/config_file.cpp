#include "tools/serve/config_file.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>

#include "base/log.h"
#include "tools/serve/relaxed_json.h"
#include "tools/serve/yaml.h"

namespace quern {
namespace {

// Settings of llama-cpp-python's server that quern has no use for.
constexpr std::string_view without_effect[] = {
    "interrupt_requests",
    "disable_ping_events",
    "split_mode",
    "main_gpu",
    "tensor_split",
    "use_mmap",
    "use_mlock",
    "seed",
    "n_ubatch",
    "n_threads_batch",
    "mul_mat_q",
    "logits_all",
    "offload_kqv",
    "flash_attn",
    "last_n_tokens_size",
    "numa",
    "cache",
    "cache_type",
    "cache_size",
    "verbose",
};

// Those that would change what clients get, with the values that ask for nothing.
struct Unsupported {
    std::string_view key;
    const char* neutral;
};
constexpr Unsupported unsupported[] = {
    {"vocab_only", "[false]"},
    {"kv_overrides", "[[]]"},
    {"rpc_servers", "[]"},
    {"rope_scaling_type", "[-1]"},
    {"rope_freq_base", "[0]"},
    {"rope_freq_scale", "[0]"},
    {"yarn_ext_factor", "[-1]"},
    {"yarn_attn_factor", "[1]"},
    {"yarn_beta_fast", "[32]"},
    {"yarn_beta_slow", "[1]"},
    {"yarn_orig_ctx", "[0]"},
    {"lora_base", "[]"},
    {"lora_path", "[]"},
    {"clip_model_path", "[]"},
    {"hf_tokenizer_config_path", "[]"},
    {"hf_pretrained_model_name_or_path", "[]"},
    {"hf_model_repo_id", "[]"},
};

bool asks_for_nothing(const char* neutral, const Json& value) {
    const Json values = Json::parse(neutral);
    return std::find(values.begin(), values.end(), value) != values.end();
}

/// The setting of that key in this part of the file, or nullptr.
const Setting* find_setting(std::string_view key, bool of_model) {
    for (const Setting& setting : serve_settings())
        if (key == setting.key && (setting.set_model != nullptr) == of_model) return &setting;
    return nullptr;
}

void note_other_key(std::string_view key, const Json& value, const std::string& where) {
    if (std::find(std::begin(without_effect), std::end(without_effect), key) != std::end(without_effect)) {
        log_debug(concat(where, " has no effect here"));
        return;
    }
    for (const Unsupported& each : unsupported) {
        if (key != each.key || asks_for_nothing(each.neutral, value)) continue;
        throw InvalidInput(concat(where, ": quern does not support this"), std::string(key));
    }
    const bool is_known =
        std::any_of(std::begin(unsupported), std::end(unsupported), [&](const Unsupported& each) { return each.key == key; });
    if (!is_known) throw InvalidInput(concat(where, " is no setting; quern serve --help lists them"), std::string(key));
}

ConfigFile::Values read_values(const Json& object, bool of_model, const std::string& where) {
    ConfigFile::Values values;
    for (const auto& [key, value] : object.items()) {
        if (value.is_null() || (!of_model && key == "models")) continue;
        const std::string place = concat(where, key);
        if (const Setting* setting = find_setting(key, of_model)) {
            check_value(*setting, value, place);
            values.emplace_back(setting, value);
        } else {
            note_other_key(key, value, place);
        }
    }
    return values;
}

std::string one_line(std::string message) {
    std::replace(message.begin(), message.end(), '\n', ' ');
    return message;
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
