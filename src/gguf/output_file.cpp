#include "gguf/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

constexpr size_t pending_bytes = size_t{1} << 20;  // rows of small tensors are gathered into writes of this size
constexpr uint64_t written_back_bytes = uint64_t{32} << 20;
constexpr int max_names = 1000;  // temporary names tried; only leftovers of crashed processes are in the way

std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : path_(path) {
    struct stat status {};
    if (path.empty() || path.find('\0') != std::string::npos) throw InvalidInput(quern::quoted(path) + " is no file name");
    if (::stat(path.c_str(), &status) == 0) {
        if (S_ISDIR(status.st_mode)) throw InvalidInput(printable(path) + ": is a folder");
        if (!S_ISREG(status.st_mode)) throw InvalidInput(printable(path) + ": is a device or a pipe, not a file");
        mode_ = status.st_mode & 07777;
        std::error_code error;
        if (const auto target = std::filesystem::canonical(path, error); !error) path_ = target.string();  // a link stays a link
    }
    if (open_nameless() || open_named()) return;
    if (errno == ENOENT || errno == ENOTDIR)
        throw InvalidInput(concat(printable(path), ": there is no folder ", quern::quoted(folder_of(path))));
    fail("create it", errno);
}

/// A file without a name is gone with the process, however that ends. Not every file system has them.
bool OutputFile::open_nameless() {
    fd_ = ::open(folder_of(path_).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (fd_ < 0) return false;
    if (::access(path_of_descriptor().c_str(), F_OK) == 0) return true;
    ::close(std::exchange(fd_, -1));  // without /proc it could not be given a name
    return false;
}

bool OutputFile::open_named() {
    each_temporary_name([&](const std::string& name) {
        fd_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        return fd_ >= 0;
    });
    return fd_ >= 0;
}

/// Tries names until one is free. @return what `use` said last, which sets errno
bool OutputFile::each_temporary_name(const std::function<bool(const std::string&)>& use) {
    for (int i = 0; i < max_names; ++i) {
        const std::string name = concat(path_, ".partial-", ::getpid(), "-", i);
        if (use(name)) {
            temporary_ = name;
            return true;
        }
        if (errno != EEXIST) return false;
    }
    return false;
}

std::string OutputFile::path_of_descriptor() const { return concat("/proc/self/fd/", fd_); }

OutputFile::~OutputFile() {
    if (fd_ < 0) return;
    ::close(fd_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::fail(std::string_view action, int error) const {
    const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    const std::string reason = error == ENOSPC ? "the disk is full" : std::strerror(error);
    throw DeviceError(concat(printable(path_), ": cannot ", action, ": ", reason, full ? "; nothing was kept" : ""));
}

void OutputFile::reserve(uint64_t bytes) {
    if (bytes == 0) return;
    if (bytes > uint64_t{INT64_MAX}) fail(concat("set aside ", bytes, " bytes"), EFBIG);
    int result = 0;
    do result = ::fallocate(fd_, 0, 0, static_cast<off_t>(bytes));
    while (result != 0 && errno == EINTR);
    // A file system that cannot set space aside is no reason to refuse.
    if (result != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) fail(concat("set aside ", bytes, " bytes"), errno);
}

/// So that the disk is busy while the rest is made, and committing does not wait for the whole file.
void OutputFile::start_writing_back(uint64_t n_more) {
    n_written_ += n_more;
    if (n_written_ - n_written_back_ < written_back_bytes) return;
    ::sync_file_range(fd_, static_cast<off_t>(n_written_back_), static_cast<off_t>(n_written_ - n_written_back_), SYNC_FILE_RANGE_WRITE);
    n_written_back_ = n_written_;
}

void OutputFile::write_through(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
        if (n < 0 && errno != EINTR) fail(concat("write at byte ", position_), errno);
        if (n > 0) bytes = bytes.subspan(static_cast<size_t>(n));
        if (n > 0) start_writing_back(static_cast<uint64_t>(n));
    }
}

void OutputFile::flush() {
    write_through(pending_);
    pending_.clear();
}

void OutputFile::write(std::span<const std::byte> bytes) {
    QUERN_CHECK(fd_ >= 0);
    if (pending_.size() + bytes.size() > pending_bytes) flush();
    if (bytes.size() > pending_bytes) {
        write_through(bytes);
    } else {
        pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    }
    position_ += bytes.size();
}

void OutputFile::write_zeros(uint64_t n) {
    static constexpr std::array<std::byte, 4096> zeros{};
    for (; n > 0; n -= std::min<uint64_t>(n, zeros.size())) write(std::span(zeros).first(std::min<uint64_t>(n, zeros.size())));
}

/// A rename survives a power cut only once its folder is on the disk. Some file systems cannot sync a folder: then there is no more to do.
void OutputFile::sync_folder() const {
    const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    ::fsync(folder);
    ::close(folder);
}

void OutputFile::commit() {
    QUERN_CHECK(fd_ >= 0);
    flush();
    // The space set aside may have been more than what was written.
    if (::ftruncate(fd_, static_cast<off_t>(position_)) != 0) fail("set its size", errno);
    if (mode_ && ::fchmod(fd_, *mode_) != 0) fail("give it the permissions of the one before", errno);
    if (::fsync(fd_) != 0) fail("flush it to the disk", errno);
    const std::string descriptor = path_of_descriptor();
    const auto link = [&](const std::string& name) {
        return ::linkat(AT_FDCWD, descriptor.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
    };
    if (temporary_.empty() && !each_temporary_name(link)) fail("give it a name", errno);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("give it its name", errno);
    sync_folder();
    ::close(std::exchange(fd_, -1));
}

}  // namespace quern
