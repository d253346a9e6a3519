// Fields that nobody knows are left alone, unless they can only be meant as one that is known: ignoring those would be a wrong answer.
#pragma once

#include <initializer_list>
#include <span>

#include "server/fields.h"

namespace quern {

/// @throws ApiError  400 unsupported_parameter, naming the field that was meant
void refuse_misspelt_fields(const Json& body, std::initializer_list<std::span<const FieldRule>> tables);

}  // namespace quern
