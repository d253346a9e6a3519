#include "server/generation/adapter_scales.h"

#include <cmath>

namespace quern {

std::vector<float> read_adapter_scales(const std::string& param, const Json& list, const Engine& engine) {
    if (!list.is_array()) refuse_type(param, "an array of objects", list);
    const size_t n = engine.adapters().size();
    std::vector<float> scales(n, 0.0f);
    std::vector<bool> seen(n, false);
    for (size_t i = 0; i < list.size(); ++i) {
        const std::string place = concat(param, "[", i, "]");
        if (!list[i].is_object()) refuse_type(place, "an object", list[i]);
        const auto id = list[i].find("id"), scale = list[i].find("scale");
        if (id == list[i].end()) refuse_value(place, "it has no id");
        const int64_t index = integer_value(place + ".id", *id);
        if (index < 0 || index >= static_cast<int64_t>(n))
            refuse_value(place + ".id",
                         n == 0 ? std::string("this model has no adapters") : concat("this model has the adapters 0 to ", n - 1));
        const auto at = static_cast<size_t>(index);
        if (seen[at]) refuse_value(place + ".id", concat("adapter ", index, " is named twice"));
        seen[at] = true;
        if (scale == list[i].end() || !scale->is_number()) refuse_value(place, "it has no scale, which is a number");
        const auto value = scale->get<double>();
        if (!(std::abs(value) <= 1e6)) refuse_value(place + ".scale", "it must be between -1e6 and 1e6");
        scales[at] = static_cast<float>(value);
    }
    return scales;
}

}  // namespace quern
