// A whole file, mapped read-only.
#pragma once

#include <cstddef>
#include <ctime>
#include <memory>
#include <span>
#include <string>

#include "base/file_faults.h"

namespace quern {

/// Owns the mapping; views into bytes() must not outlive it. Movable.
class MappedFile {
  public:
    /// @throws ModelError  when the path is missing, a folder, empty or unreadable: says which
    explicit MappedFile(const std::string& path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;

    std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
    const std::string& path() const noexcept { return path_; }
    /// These bytes will not be read again soon: their pages no longer count as this process's memory. They may still be read.
    void release(std::span<const std::byte> bytes) const noexcept;

    /// What has become of the file since it was mapped, for people: it has become shorter, unreadable, or has been written to in place.
    /// Empty: nothing. A file that another one took the place of is whole, as long as it is mapped.
    std::string damage() const;
    /// Asks the system to keep all of it in memory. False when it does not.
    bool lock_in_memory() const noexcept;

  private:
    std::string path_;
    int descriptor_ = -1;
    timespec modified_{};
    FaultWatch watch_;
    const std::byte* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace quern
