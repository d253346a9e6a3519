// CPUID says what the processor can do, XGETBV what the operating system saves on a context switch; a kernel needs both.
// Sources: Intel SDM volume 2 (CPUID) and 1 (13.3, XCR0); the kernel's cgroup-v1 cpu and cgroup-v2 documentation.
#include "base/cpu_features.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "base/cgroup.h"
#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace quern {
namespace {

constexpr std::array<std::pair<Isa, std::string_view>, 3> names{{{Isa::scalar, "scalar"}, {Isa::avx2, "avx2"}, {Isa::avx512, "avx512"}}};

#if defined(__x86_64__)
struct CpuidLeaf {
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidLeaf cpuid(uint32_t leaf, uint32_t part = 0) {
    CpuidLeaf out;
    if (!__get_cpuid_count(leaf, part, &out.eax, &out.ebx, &out.ecx, &out.edx)) return {};
    return out;
}

bool has_all(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

uint64_t saved_state() {
    uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return static_cast<uint64_t>(high) << 32 | low;
}

Isa detect_isa() {
    const CpuidLeaf one = cpuid(1), seven = cpuid(7);
    constexpr uint32_t osxsave = 1u << 27, avx = 1u << 28, fma = 1u << 12, f16c = 1u << 29;
    if (!has_all(one.ecx, osxsave | avx | fma | f16c)) return Isa::scalar;
    const uint64_t state = saved_state();
    constexpr uint64_t sse_and_avx_state = 0x6, avx512_state = 0xe0;
    constexpr uint32_t avx2 = 1u << 5, bmi2 = 1u << 8;
    if ((state & sse_and_avx_state) != sse_and_avx_state || !has_all(seven.ebx, avx2 | bmi2)) return Isa::scalar;
    constexpr uint32_t f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;
    constexpr uint32_t vbmi = 1u << 1, vnni = 1u << 11;
    const bool wide = (state & avx512_state) == avx512_state && has_all(seven.ebx, f | dq | bw | vl) && has_all(seven.ecx, vbmi | vnni);
    return wide ? Isa::avx512 : Isa::avx2;
}

bool detect_avx512_bf16() {
    constexpr uint32_t bf16 = 1u << 5;
    return best_isa() == Isa::avx512 && cpuid(7).eax >= 1 && has_all(cpuid(7, 1).eax, bf16);
}
#else
Isa detect_isa() { return Isa::scalar; }
bool detect_avx512_bf16() { return false; }
#endif

// One line of a file that the kernel makes up; empty when there is none.
std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

// Hyper-threads of one core share its units, so they count once.
int physical_cores(const cpu_set_t& allowed) {
    std::set<std::string> cores;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        const std::string siblings = first_line(concat("/sys/devices/system/cpu/cpu", cpu, "/topology/thread_siblings_list"));
        cores.insert(siblings.empty() ? std::to_string(cpu) : siblings);
    }
    return static_cast<int>(cores.size());
}

// Quota and period as whole cores, at least one; 0 when they set no limit.
int cores_of_quota(const std::string& quota, const std::string& period) {
    const double q = std::strtod(quota.c_str(), nullptr), p = std::strtod(period.c_str(), nullptr);
    if (q <= 0 || p <= 0 || q / p > 1e6) return 0;
    return std::max(1, static_cast<int>(q / p));
}

// The least limit on the way from this process's group up to the mount; 0 when there is none.
template <typename Limit>
int least_limit(std::string_view controller, Limit&& limit_at) {
    int least = 0;
    for (const std::string& folder : cgroup_folders(controller)) {
        const int limit = limit_at(folder);
        if (limit > 0) least = least == 0 ? limit : std::min(least, limit);
    }
    return least;
}

int cgroup_cores() {
    const int v2 = least_limit("", [](const std::string& folder) {
        const std::string line = first_line(folder + "/cpu.max");  // "max 100000" or "200000 100000"
        const size_t space = line.find(' ');
        return space == std::string::npos ? 0 : cores_of_quota(line.substr(0, space), line.substr(space + 1));
    });
    const int v1 = least_limit("cpu", [](const std::string& folder) {
        return cores_of_quota(first_line(folder + "/cpu.cfs_quota_us"), first_line(folder + "/cpu.cfs_period_us"));
    });
    if (v1 == 0 || v2 == 0) return std::max(v1, v2);
    return std::min(v1, v2);
}

int count_usable_cores() {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    int cores = static_cast<int>(std::thread::hardware_concurrency());
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) cores = physical_cores(allowed);
    const int quota = cgroup_cores();
    if (quota > 0) cores = std::min(cores, quota);
    return std::max(1, cores);
}

}  // namespace

std::string_view to_string(Isa isa) { return names[static_cast<size_t>(isa)].second; }

std::optional<Isa> isa_from_name(std::string_view name) {
    for (const auto& [isa, isa_name] : names)
        if (isa_name == name) return isa;
    return std::nullopt;
}

Isa best_isa() {
    static const Isa isa = detect_isa();
    return isa;
}

bool has_avx512_bf16() {
    static const bool has = detect_avx512_bf16();
    return has;
}

int usable_cores() {
    static const int cores = count_usable_cores();
    return cores;
}

}  // namespace quern
