// Which version of the program this is.
#pragma once

namespace quern {

/// "0.1.0": as the project's build file says.
const char* program_version();

}  // namespace quern
