// A file that appears under its name whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// Writes to a file that has no name yet, or a temporary one beside `path` where the file system has no such files; commit() makes it
/// durable and gives it its name, replacing what was there (with its permissions; behind a link, the file that it leads to). Without
/// commit() nothing remains. Not for concurrent use.
class OutputFile {
  public:
    /// @throws InvalidInput  when the folder does not exist, or the path is a folder, a device or a pipe
    /// @throws DeviceError   when the system refuses
    explicit OutputFile(const std::string& path);
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    /// Sets the space aside, so that a full disk shows now and not after hours. @throws DeviceError when there is not enough
    void reserve(uint64_t bytes);
    /// @throws DeviceError  when the disk is full or fails
    void write(std::span<const std::byte> bytes);
    void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
    void write_zeros(uint64_t n);
    /// Bytes written so far.
    uint64_t position() const noexcept { return position_; }
    /// Flushes to the disk and renames. @throws DeviceError, and then nothing remains. REQUIRES: called once, last.
    void commit();

  private:
    void write_through(std::span<const std::byte> bytes);
    void start_writing_back(uint64_t n_more);
    void flush();
    void sync_folder() const;
    [[noreturn]] void fail(std::string_view action, int error) const;

    bool open_nameless();
    bool open_named();
    bool each_temporary_name(const std::function<bool(const std::string&)>& use);
    std::string path_of_descriptor() const;

    std::string path_;
    std::optional<unsigned> mode_;  ///< of the file that is replaced
    std::string temporary_;         ///< empty while the file has no name
    int fd_ = -1;
    uint64_t position_ = 0, n_written_ = 0, n_written_back_ = 0;
    std::vector<std::byte> pending_;
};

}  // namespace quern
