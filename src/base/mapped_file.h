// A whole file, mapped read-only.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

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

  private:
    std::string path_;
    const std::byte* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace quern
