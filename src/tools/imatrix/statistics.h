// What an importance matrix looks like, tensor by tensor: a table for people.
#pragma once

#include <string>

#include "convert/imatrix.h"

namespace quern {

/// One line for each tensor, those with the largest inputs first: their sum, range, mean and deviation, how evenly they are spread over the
/// columns (entropy, and the share of columns more than a deviation above the mean), and how like the layer before they are.
std::string imatrix_statistics(const Imatrix& imatrix);

}  // namespace quern
