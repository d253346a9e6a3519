#include "engine/adapter_set.h"

#include <array>
#include <bit>
#include <cmath>

#include "base/error.h"

namespace quern {
namespace {

constexpr size_t most_adapters = 64;
constexpr float most_scale = 1e6f;

}  // namespace

AdapterSet::AdapterSet(std::span<const AdapterSource> sources, const GgufFile& base, Adapter::Reading reading) {
    if (sources.size() > most_adapters) throw InvalidInput(concat("at most ", most_adapters, " adapters are possible"), "lora");
    std::vector<float> scales;
    for (const AdapterSource& each : sources) {
        adapters_.push_back(std::make_unique<const Adapter>(each.path, base, reading));
        scales.push_back(each.scale);
    }
    check_scales(scales);
}

void AdapterSet::apply(Graph& graph, Adapter::Reach reach) const {
    for (size_t i = 0; i < adapters_.size(); ++i) adapters_[i]->apply(graph, static_cast<int>(i), reach);
}

uint64_t AdapterSet::bytes() const noexcept {
    uint64_t bytes = 0;
    for (const auto& each : adapters_) bytes += each->bytes();
    return bytes;
}

void AdapterSet::check_scales(std::span<const float> scales) const {
    if (scales.size() != size()) throw InvalidInput(concat("there are ", size(), " adapters, but ", scales.size(), " scales"), "lora");
    for (const float scale : scales)
        if (!(std::abs(scale) <= most_scale)) throw InvalidInput("the scale of an adapter must be between -1e6 and 1e6", "lora");
}

// Scales have a fixed length and stand first, so that no request's own salt can imitate them.
std::string AdapterSet::salt(std::span<const float> scales, const std::string& salt) const {
    std::string out;
    for (const float scale : scales) {
        const auto bits = std::bit_cast<std::array<char, sizeof(float)>>(scale == 0.0f ? 0.0f : scale);  // -0 is 0
        out.append(bits.data(), bits.size());
    }
    return out + salt;
}

}  // namespace quern
