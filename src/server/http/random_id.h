// Ids that nobody can guess.
#pragma once

#include <string>
#include <string_view>

namespace quern {

/// The prefix and 24 random letters and digits.
std::string random_id(std::string_view prefix);

}  // namespace quern
