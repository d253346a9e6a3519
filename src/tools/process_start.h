// What the program sets right in its process before anything else.
#pragma once

namespace quern {

/// Standard streams that the caller has closed become /dev/null, or else the next files to be opened would take their numbers, and with
/// them what is meant for the terminal.
void open_standard_streams();

}  // namespace quern
