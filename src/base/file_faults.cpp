#include "base/file_faults.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <utility>

namespace quern {
namespace {

/// What the signal's handler looks through. `end` is 0 while the slot is free, and written last.
struct WatchedRange {
    std::atomic<bool> is_taken{false}, has_fault{false};
    std::atomic<uintptr_t> begin{0}, end{0};
};

// Global, as a handler of signals gets nothing else.
constexpr int n_slots = 1024;
WatchedRange watched[n_slots];
uintptr_t page_bytes = 4096;

void (*on_other_faults)(int) = nullptr;

// The rest of the file is given up with the page: after a truncation it would fault page by page.
extern "C" void zero_on_fault(int number, siginfo_t* info, void*) {
    const int error = errno;
    const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
    for (WatchedRange& range : watched) {
        const uintptr_t end = range.end.load(std::memory_order_acquire);
        if (address < range.begin.load(std::memory_order_relaxed) || address >= end) continue;
        const uintptr_t page = address / page_bytes * page_bytes;
        void* mapped = mmap(reinterpret_cast<void*>(page), end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (mapped == MAP_FAILED) break;
        range.has_fault.store(true, std::memory_order_release);
        errno = error;
        return;
    }
    on_other_faults(number);
}

}  // namespace

void survive_file_faults(void (*otherwise)(int)) {
    on_other_faults = otherwise;
    page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    struct sigaction action = {};
    action.sa_sigaction = zero_on_fault;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, nullptr);
}

FaultWatch::FaultWatch(const std::byte* data, size_t size) noexcept {
    for (int i = 0; i < n_slots; ++i) {
        if (watched[i].is_taken.exchange(true)) continue;
        slot_ = i;
        watched[i].has_fault = false;
        watched[i].begin.store(reinterpret_cast<uintptr_t>(data), std::memory_order_relaxed);
        watched[i].end.store(reinterpret_cast<uintptr_t>(data) + size, std::memory_order_release);
        return;
    }
}

FaultWatch::~FaultWatch() {
    if (slot_ < 0) return;
    watched[slot_].end = 0;
    watched[slot_].is_taken = false;
}

FaultWatch::FaultWatch(FaultWatch&& other) noexcept : slot_(std::exchange(other.slot_, -1)) {}

FaultWatch& FaultWatch::operator=(FaultWatch&& other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
}

bool FaultWatch::has_fault() const noexcept { return slot_ >= 0 && watched[slot_].has_fault.load(std::memory_order_acquire); }

}  // namespace quern
