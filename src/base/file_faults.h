// What happens when a part of a mapped file is read that is no longer there, because the file became shorter or its disk fails: the system
// sends SIGBUS. By default the process then ends. A server survives: it reads zeros, and the file counts as broken from then on.
#pragma once

#include <cstddef>

namespace quern {

/// Turns SIGBUS in a watched range into zeros, for the rest of the process's life. Elsewhere `otherwise` is called, as a signal's handler
/// is: it may not return.
void survive_file_faults(void (*otherwise)(int));

/// A range of mapped memory that a fault may hit. Any thread.
class FaultWatch {
  public:
    FaultWatch() = default;
    /// Where too many ranges are watched already, this one is not.
    FaultWatch(const std::byte* data, size_t size) noexcept;
    ~FaultWatch();
    FaultWatch(FaultWatch&& other) noexcept;
    FaultWatch& operator=(FaultWatch&& other) noexcept;

    /// A part of it has been read that was not there: that part is zeros now.
    bool has_fault() const noexcept;

  private:
    int slot_ = -1;
};

}  // namespace quern
