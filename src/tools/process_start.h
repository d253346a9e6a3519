// What the program sets right in its process before anything else.
#pragma once

namespace quern {

/// Standard streams that the caller has closed become /dev/null, or else the next files to be opened would take their numbers, and with
/// them what is meant for the terminal.
void open_standard_streams();

/// A mapped file that shrinks or whose disk fails ends the program by a signal when the missing part is read: it says so first.
void explain_bus_errors();

/// From now on the missing part of a mapped file reads as zeros, and the file counts as damaged: for those who look at that before they use
/// what was computed.
void survive_bus_errors();

/// From now on output that nobody reads neither holds up the program nor ends it, and memory that it has freed goes back to the system.
void prepare_to_run_for_long();

}  // namespace quern
