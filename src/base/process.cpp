// Source: proc(5).
#include "base/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace quern {
namespace {

constexpr int field_start_time = 22;  // of /proc/self/stat

double boot_seconds() {
    std::ifstream file("/proc/stat");
    double seconds = 0;
    for (std::string name; file >> name;)
        if (name == "btime" && file >> seconds) return seconds;
    return 0;
}

// The name of the program, in parentheses, may hold anything; the fields are counted behind it.
double start_seconds() {
    std::ifstream file("/proc/self/stat");
    std::string line;
    std::getline(file, line);
    const size_t name_end = line.rfind(')');
    if (name_end == std::string::npos) return 0;
    std::istringstream fields(line.substr(name_end + 1));
    std::string field;
    for (int i = 3; i <= field_start_time; ++i) fields >> field;
    std::istringstream ticks(field);
    double n_ticks = 0;
    return ticks >> n_ticks ? boot_seconds() + n_ticks / static_cast<double>(sysconf(_SC_CLK_TCK)) : 0;
}

}  // namespace

ProcessUsage process_usage() {
    ProcessUsage usage{.start_seconds = start_seconds()};
    std::ifstream statm("/proc/self/statm");
    uint64_t n_pages = 0, n_resident = 0, n_shared = 0;
    if (statm >> n_pages >> n_resident >> n_shared) {
        const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
        usage.resident_bytes = n_resident * page_bytes;
        usage.resident_anonymous_bytes = (n_resident - n_shared) * page_bytes;
    }
    rusage used{};
    if (getrusage(RUSAGE_SELF, &used) == 0)
        usage.cpu_seconds = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                            static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    std::error_code failed;
    for (std::filesystem::directory_iterator at("/proc/self/fd", failed), end; !failed && at != end; at.increment(failed))
        ++usage.n_open_files;
    return usage;
}

}  // namespace quern
