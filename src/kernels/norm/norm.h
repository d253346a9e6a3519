// Norms of a row. Sources: Zhang, Sennrich 2019 (RMS norm); Ba, Kiros, Hinton 2016 (layer norm).
#pragma once

#include <cstdint>

namespace quern {

/// rms: x / rms(x) * weight. layer: (x - mean) / deviation * weight + bias.
enum class NormKind : uint8_t { rms, layer };

struct NormSize {
    int64_t n = 0;
    float eps = 0;
};

/// A norm with its parameters. `bias` is only a layer norm's, and may be nullptr there too.
struct Norm {
    NormKind kind = NormKind::rms;
    const float* weight = nullptr;  ///< nullptr: no norm
    const float* bias = nullptr;
    float eps = 0;
};

}  // namespace quern
