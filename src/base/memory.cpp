#include "base/memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace quern {
namespace {

constexpr uint64_t unknown = std::numeric_limits<uint64_t>::max();

// "MemAvailable:   12345 kB" in /proc/meminfo; free pages where there is no such line.
uint64_t system_available() {
    std::ifstream file("/proc/meminfo");
    std::string name, unit;
    for (uint64_t kib; file >> name >> kib;) {
        std::getline(file, unit);
        if (name == "MemAvailable:") return kib * 1024;
    }
    return static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t read_number(const char* path) {
    std::ifstream file(path);
    uint64_t value = 0;
    return file >> value ? value : unknown;  // "max" is no number
}

// Limit less use, where use leaves out the file pages that the kernel can drop.
uint64_t cgroup_available() {
    const uint64_t limit = read_number("/sys/fs/cgroup/memory.max"), used = read_number("/sys/fs/cgroup/memory.current");
    if (limit == unknown || used == unknown) return unknown;
    uint64_t droppable = 0;
    std::ifstream stat("/sys/fs/cgroup/memory.stat");
    std::string name;
    for (uint64_t bytes; stat >> name >> bytes;)
        if (name == "inactive_file" || name == "active_file") droppable += bytes;
    const uint64_t busy = used - std::min(used, droppable);
    return limit - std::min(limit, busy);
}

}  // namespace

uint64_t available_memory_bytes() { return std::min(system_available(), cgroup_available()); }

}  // namespace quern
