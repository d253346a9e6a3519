// What this process takes of the machine.
#pragma once

#include <cstdint>

namespace quern {

struct ProcessUsage {
    uint64_t resident_bytes = 0;            ///< in memory, mapped files included
    uint64_t resident_anonymous_bytes = 0;  ///< of these, what is no file's
    double cpu_seconds = 0;
    double start_seconds = 0;  ///< when it began, in seconds since 1970
    int64_t n_open_files = 0;
};

/// What cannot be found out is 0.
ProcessUsage process_usage();

}  // namespace quern
