// Rows of the table of settings that are no more than a place in a struct.
#pragma once

#include <optional>
#include <type_traits>

#include "tools/serve/settings.h"

namespace quern {

/// "" and nothing are null, and so is what a sentinel of the setting stands for.
template <typename T>
Json json_of(const T& value) {
    if constexpr (std::is_same_v<T, std::string>)
        return value.empty() ? Json(nullptr) : Json(value);
    else if constexpr (requires { value.has_value(); })
        return value ? Json(*value) : Json(nullptr);
    else
        return value;
}

template <typename T>
void assign(T& place, const Json& value) {
    if constexpr (requires { place.has_value(); })
        place = value.get<typename T::value_type>();
    else
        place = value.get<T>();
}

/// A place in ServeSettings.
template <auto place>
Setting in_server(Setting row) {
    row.set_server = [](ServeSettings& server, const Json& value) { assign(server.*place, value); };
    row.get_server = [](const ServeSettings& server) { return json_of(server.*place); };
    return row;
}

/// A place in ServeSettings that a running server takes anew.
template <auto place>
Setting reloaded(Setting row) {
    row.reload = [](const ServeSettings& fresh, ServeSettings& settings) { settings.*place = fresh.*place; };
    return row;
}

/// A place in ModelEntry.
template <auto place>
Setting in_entry(Setting row) {
    row.set_model = [](ModelEntry& model, const Json& value) { assign(model.*place, value); };
    row.get_model = [](const ModelEntry& model) { return json_of(model.*place); };
    return row;
}

/// A place in EngineOptions.
template <auto place>
Setting in_options(Setting row) {
    row.set_model = [](ModelEntry& model, const Json& value) { assign(model.options.*place, value); };
    row.get_model = [](const ModelEntry& model) { return json_of(model.options.*place); };
    return row;
}

/// A place in RopeOverride. What is not above `unset` asks for what the file has.
template <auto place, int unset>
Setting in_rope(Setting row) {
    row.set_model = [](ModelEntry& model, const Json& value) {
        if (value.get<double>() > unset)
            assign(model.options.rope.*place, value);
        else
            (model.options.rope.*place).reset();
    };
    row.get_model = [](const ModelEntry& model) { return json_of(model.options.rope.*place); };
    return row;
}

}  // namespace quern
