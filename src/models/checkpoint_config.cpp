#include "models/checkpoint_config.h"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

const nlohmann::json* find_one(const nlohmann::json& json, std::string_view name) {
    const nlohmann::json* at = &json;
    while (at) {
        const size_t dot = name.find('.');
        if (!at->is_object()) return nullptr;
        const auto found = at->find(std::string(name.substr(0, dot)));
        if (found == at->end() || found->is_null()) return nullptr;
        at = &*found;
        if (dot == std::string_view::npos) return at;
        name.remove_prefix(dot + 1);
    }
    return nullptr;
}

// Whole numbers are sometimes written as 1.0 or 1e6.
std::optional<int64_t> to_integer(const nlohmann::json& value) {
    if (value.is_number_unsigned()) {
        const auto n = value.get<uint64_t>();
        return n <= uint64_t{std::numeric_limits<int64_t>::max()} ? std::optional(static_cast<int64_t>(n)) : std::nullopt;
    }
    if (value.is_number_integer()) return value.get<int64_t>();
    if (!value.is_number_float()) return std::nullopt;
    const double x = value.get<double>();
    if (!(std::abs(x) < 9e15) || x != std::floor(x)) return std::nullopt;
    return static_cast<int64_t>(x);
}

}  // namespace

CheckpointConfig::CheckpointConfig(const nlohmann::json& json, std::string path) : path_(std::move(path)) {
    QUERN_CHECK(json.is_object());
    auto flat = std::make_shared<nlohmann::json>(json);
    if (const auto inner = json.find("text_config"); inner != json.end() && inner->is_object())
        for (const auto& [name, value] : inner->items())
            if (name != "architectures") (*flat)[name] = value;
    json_ = std::move(flat);
}

const nlohmann::json* CheckpointConfig::find(Names names, std::string_view& found) const {
    for (const std::string_view name : names)
        if (const nlohmann::json* value = find_one(*json_, name)) {
            found = name;
            return value;
        }
    return nullptr;
}

bool CheckpointConfig::is_empty(std::string_view name) const {
    const nlohmann::json* value = find_one(*json_, name);
    return value == nullptr || value->is_null() || *value == false || (value->is_structured() && value->empty());
}

bool CheckpointConfig::is_text(std::string_view name) const {
    const nlohmann::json* value = find_one(*json_, name);
    return value != nullptr && value->is_string();
}

bool CheckpointConfig::has(std::string_view name) const { return find_one(*json_, name) != nullptr; }

bool CheckpointConfig::is_null(std::string_view name) const {
    const auto found = json_->find(name);
    return found != json_->end() && found->is_null();
}

void CheckpointConfig::fail(std::string_view what) const { throw ModelError(concat(printable(path_), ": ", what)); }

void CheckpointConfig::fail_type(std::string_view name, std::string_view expected) const { fail(concat(name, " is no ", expected)); }

std::optional<int64_t> CheckpointConfig::integer(Names names) const {
    std::string_view name;
    const nlohmann::json* value = find(names, name);
    if (!value) return std::nullopt;
    const auto number = to_integer(*value);
    if (!number) fail_type(name, "whole number");
    return number;
}

std::optional<double> CheckpointConfig::real(Names names) const {
    std::string_view name;
    const nlohmann::json* value = find(names, name);
    if (!value) return std::nullopt;
    if (!value->is_number()) fail_type(name, "number");
    return value->get<double>();
}

std::optional<bool> CheckpointConfig::boolean(Names names) const {
    std::string_view name;
    const nlohmann::json* value = find(names, name);
    if (!value) return std::nullopt;
    if (!value->is_boolean()) fail_type(name, "true or false");
    return value->get<bool>();
}

std::optional<std::string> CheckpointConfig::string(Names names) const {
    std::string_view name;
    const nlohmann::json* value = find(names, name);
    if (!value) return std::nullopt;
    if (!value->is_string()) fail_type(name, "text");
    return value->get<std::string>();
}

std::vector<int64_t> CheckpointConfig::integers(Names names) const {
    std::string_view name;
    std::vector<int64_t> out;
    const nlohmann::json* value = find(names, name);
    if (!value) return out;
    const nlohmann::json list = value->is_array() ? *value : nlohmann::json::array({*value});
    for (const nlohmann::json& each : list) {
        const auto number = to_integer(each);
        if (!number) fail_type(name, "list of whole numbers");
        out.push_back(*number);
    }
    return out;
}

std::vector<double> CheckpointConfig::reals(Names names) const {
    std::string_view name;
    std::vector<double> out;
    const nlohmann::json* value = find(names, name);
    if (!value) return out;
    const nlohmann::json list = value->is_array() ? *value : nlohmann::json::array({*value});
    for (const nlohmann::json& each : list) {
        if (!each.is_number()) fail_type(name, "list of numbers");
        out.push_back(each.get<double>());
    }
    return out;
}

std::vector<std::string> CheckpointConfig::strings(Names names) const {
    std::string_view name;
    std::vector<std::string> out;
    const nlohmann::json* value = find(names, name);
    if (!value) return out;
    const nlohmann::json list = value->is_array() ? *value : nlohmann::json::array({*value});
    for (const nlohmann::json& each : list) {
        if (!each.is_string()) fail_type(name, "list of texts");
        out.push_back(each.get<std::string>());
    }
    return out;
}

int64_t CheckpointConfig::require_integer(Names names) const {
    const auto value = integer(names);
    if (!value) fail(concat(*names.begin(), " is missing"));
    return *value;
}

void CheckpointConfig::require_value(std::string_view name, std::string_view expected) const {
    const std::string found = string({name}).value_or(std::string(expected));
    if (found != expected) fail(concat(name, " is ", quoted(found), "; quern knows ", expected));
}

std::string CheckpointConfig::entry_names() const {
    std::string all;
    for (const auto& [name, value] : json_->items()) all += (all.empty() ? "" : ", ") + printable(name, 60);
    return all.size() > 600 ? all.substr(0, 600) + "..." : all;
}

}  // namespace quern
