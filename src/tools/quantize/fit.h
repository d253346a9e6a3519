// quern quantize --fit: the format of each tensor chosen for a given size, by what the model loses with it.
#pragma once

#include <map>
#include <string>

#include "tools/quantize/options.h"

namespace quern {

/// What was chosen.
struct Fit {
    std::map<std::string, DType, std::less<>> formats;  ///< by tensor
    std::map<std::string, double, std::less<>> costs;   ///< by tensor: expected KL divergence, or relative error where nothing was measured
    QuantizeType type;                                  ///< of most of the bytes: for general.file_type
    bool is_measured = false;
    double cost() const {
        double sum = 0;
        for (const auto& [name, cost] : costs) sum += cost;
        return sum;
    }
};

/// REQUIRES: request.fit. @param header_bytes  of the file before its tensors
/// @throws InvalidInput  when the budget is below the smallest that can be made: says what that is
Fit fit_formats(const GgufFile& file, const QuantizeRequest& request, uint64_t header_bytes);

/// A short text of several kinds for measuring on.
extern const char* const fit_sample_text;

}  // namespace quern
