#include "tools/bench/read_bandwidth.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "base/error.h"
#include "tools/bench/read_loop.h"

namespace quern {
namespace {

constexpr size_t buffer_bytes = size_t{512} << 20;  // larger than any last-level cache but those of a few servers' sockets
constexpr size_t granule = 1024;                    // what the loops ask for
constexpr int n_passes = 16;

using ReadAll = uint64_t (*)(const std::byte*, size_t);

ReadAll reader_of(Isa isa) {
    switch (isa) {
        case Isa::avx512:
            return &read_all_avx512;
        case Isa::avx2:
            return &read_all_avx2;
        case Isa::scalar:
            break;
    }
    return &read_all;
}

/// Zeroed pages in huge pages where the kernel has them, as weights would be.
class Buffer {
  public:
    explicit Buffer(size_t n_bytes) : n_bytes_(n_bytes) {
        void* memory = mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw DeviceError(concat("no ", n_bytes >> 20, " MiB of memory to measure the bandwidth with"));
        madvise(memory, n_bytes, MADV_HUGEPAGE);
        bytes_ = static_cast<std::byte*>(memory);
    }
    ~Buffer() { munmap(bytes_, n_bytes_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    std::byte* bytes() const noexcept { return bytes_; }

  private:
    std::byte* bytes_;
    size_t n_bytes_;
};

}  // namespace

typedef uint64_t Vector128 __attribute__((vector_size(16), may_alias));

uint64_t read_all(const std::byte* bytes, size_t n_bytes) { return sum_vectors<Vector128>(bytes, n_bytes); }

double measure_read_bandwidth(int n_threads, Isa isa) {
    using Clock = std::chrono::steady_clock;
    const Buffer buffer(buffer_bytes);
    const size_t share = buffer_bytes / static_cast<size_t>(n_threads) / granule * granule;
    const ReadAll read = reader_of(isa);
    std::atomic<uint64_t> sink = 0;
    std::vector<Clock::time_point> marks;
    const auto mark = [&]() noexcept { marks.push_back(Clock::now()); };
    marks.reserve(n_passes + 2);
    std::barrier step(n_threads, mark);
    const auto work = [&](int thread) {
        std::byte* const mine = buffer.bytes() + static_cast<size_t>(thread) * share;
        std::memset(mine, thread + 1, share);  // first touch by the thread that reads
        step.arrive_and_wait();
        for (int pass = 0; pass < n_passes; ++pass) {
            sink += read(mine, share);
            step.arrive_and_wait();
        }
    };
    {
        std::vector<std::jthread> threads;
        for (int thread = 1; thread < n_threads; ++thread) threads.emplace_back(work, thread);
        work(0);
    }
    double best_seconds = std::chrono::duration<double>(marks[1] - marks[0]).count();
    for (size_t i = 1; i < marks.size(); ++i)
        best_seconds = std::min(best_seconds, std::chrono::duration<double>(marks[i] - marks[i - 1]).count());
    return static_cast<double>(share) * n_threads / best_seconds;
}

}  // namespace quern
