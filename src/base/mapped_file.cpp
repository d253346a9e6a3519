#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace quern {
namespace {

/// Closes the descriptor when mapping is over: a mapping lives on without it.
struct Descriptor {
    int fd;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

[[noreturn]] void fail_open(const std::string& path, int error) {
    if (error == ENOENT || error == ENOTDIR) throw ModelError(concat(path, ": no such file"));
    if (error == EACCES || error == EPERM) throw ModelError(concat(path, ": no permission to read it"));
    const std::string message = concat(path, ": cannot open it: ", std::strerror(error));
    if (error == EMFILE || error == ENFILE || error == ENOMEM) throw DeviceError(message);
    throw ModelError(message);
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
    // The system would stop at the zero byte and open another file than the one named.
    if (path.find('\0') != std::string::npos) throw ModelError("a file name may not hold a zero byte");
    // Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file.fd < 0) fail_open(path, errno);
    struct stat status {};
    if (::fstat(file.fd, &status) != 0) fail_open(path, errno);
    if (S_ISDIR(status.st_mode)) throw ModelError(concat(path, ": is a folder, not a file"));
    if (!S_ISREG(status.st_mode)) throw ModelError(concat(path, ": is not a regular file"));
    if (status.st_size == 0) throw ModelError(concat(path, ": the file is empty, at byte 0"));
    size_ = static_cast<size_t>(status.st_size);
    void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.fd, 0);
    if (address == MAP_FAILED) {
        size_ = 0;
        throw DeviceError(concat(path, ": cannot map ", status.st_size, " bytes: ", std::strerror(errno)));
    }
    data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
    if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> bytes) const noexcept {
    // Whole pages only: what shares a page with others stays.
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = (reinterpret_cast<uintptr_t>(bytes.data()) + page - 1) / page * page;
    const auto end = (reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size()) / page * page;
    if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

}  // namespace quern
