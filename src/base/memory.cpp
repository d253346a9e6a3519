#include "base/memory.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "base/cgroup.h"

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

uint64_t read_number(const std::string& path) {
    std::ifstream file(path);
    uint64_t value = 0;
    return file >> value ? value : unknown;  // "max" is no number
}

/// The files of a cgroup version that say what a group may take and takes.
struct MemoryFiles {
    const char *controller, *limit, *used;
};

// Limit less use, where use leaves out the file pages that the kernel can drop.
uint64_t available_in(const std::string& folder, const MemoryFiles& files) {
    const uint64_t limit = read_number(folder + files.limit), used = read_number(folder + files.used);
    if (limit == unknown || used == unknown) return unknown;
    uint64_t droppable = 0;
    std::ifstream stat(folder + "/memory.stat");
    std::string name;
    for (uint64_t bytes; stat >> name >> bytes;)
        if (name == "inactive_file" || name == "active_file") droppable += bytes;
    const uint64_t busy = used - std::min(used, droppable);
    return limit - std::min(limit, busy);
}

uint64_t cgroup_available() {
    uint64_t least = unknown;
    for (const MemoryFiles& files :
         {MemoryFiles{"", "/memory.max", "/memory.current"}, MemoryFiles{"memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes"}})
        for (const std::string& folder : cgroup_folders(files.controller)) least = std::min(least, available_in(folder, files));
    return least;
}

}  // namespace

// Left alone, glibc raises both thresholds with each large block that is freed, up to 32 and 64 MiB, and has eight arenas for each core:
// then every thread that once held a large text keeps its memory.
void keep_little_freed_memory() noexcept {
    constexpr int threshold_bytes = 1 << 20, n_arenas = 4;
    mallopt(M_MMAP_THRESHOLD, threshold_bytes);
    mallopt(M_TRIM_THRESHOLD, threshold_bytes);
    mallopt(M_ARENA_MAX, n_arenas);
}

uint64_t available_memory_bytes() { return std::min(system_available(), cgroup_available()); }

void return_freed_memory() noexcept { malloc_trim(0); }

}  // namespace quern
