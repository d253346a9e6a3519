// The best formats for a given size: of each tensor's possible formats one is chosen, so that the costs add up to the least that the budget
// allows. Exact up to the last tensor that does not fit: steps are taken along each tensor's convex hull, best gain for a byte first.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tensor/dtype.h"

namespace quern {

struct FitChoice {
    DType dtype = DType::f16;
    uint64_t bytes = 0;
    double cost = 0;  ///< what it adds to the whole's error
};

/// The index of each tensor's choice; nothing when even the smallest ones are above the budget.
/// The same for the same numbers in the same order. @param tensors  at least one choice each
std::optional<std::vector<size_t>> choose_within(std::span<const std::vector<FitChoice>> tensors, uint64_t budget_bytes);

/// Of all the smallest choices.
uint64_t least_bytes(std::span<const std::vector<FitChoice>> tensors);

}  // namespace quern
