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

/// Is closed at the end of its scope.
struct Descriptor {
    int number;
    ~Descriptor() {
        if (number >= 0) ::close(number);
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
    Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file.number < 0) fail_open(path, errno);
    struct stat status {};
    if (::fstat(file.number, &status) != 0) fail_open(path, errno);
    if (S_ISDIR(status.st_mode)) throw ModelError(concat(path, ": is a folder, not a file"));
    if (!S_ISREG(status.st_mode)) throw ModelError(concat(path, ": is not a regular file"));
    if (status.st_size == 0) throw ModelError(concat(path, ": the file is empty, at byte 0"));
    const auto size = static_cast<size_t>(status.st_size);
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.number, 0);
    if (address == MAP_FAILED) throw DeviceError(concat(path, ": cannot map ", size, " bytes: ", std::strerror(errno)));
    data_ = static_cast<const std::byte*>(address);
    size_ = size;
    modified_ = status.st_mtim;
    descriptor_ = std::exchange(file.number, -1);
    watch_ = FaultWatch(data_, size_);
}

MappedFile::~MappedFile() {
    watch_ = FaultWatch();  // before the memory becomes somebody else's
    if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
    if (descriptor_ >= 0) ::close(descriptor_);
}

std::string MappedFile::damage() const {
    struct stat status {};
    const bool is_there = ::fstat(descriptor_, &status) == 0;
    if (watch_.has_fault() || (is_there && static_cast<size_t>(status.st_size) < size_))
        return concat(path_, " became shorter or unreadable while it was in use");
    if (is_there && (status.st_mtim.tv_sec != modified_.tv_sec || status.st_mtim.tv_nsec != modified_.tv_nsec))
        return concat(path_, " was changed while it was in use");
    return {};
}

bool MappedFile::lock_in_memory() const noexcept { return ::mlock(data_, size_) == 0; }

void MappedFile::release(std::span<const std::byte> bytes) const noexcept {
    // Whole pages only: what shares a page with others stays.
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = (reinterpret_cast<uintptr_t>(bytes.data()) + page - 1) / page * page;
    const auto end = (reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size()) / page * page;
    if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      modified_(other.modified_),
      watch_(std::move(other.watch_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(descriptor_, other.descriptor_);
    std::swap(modified_, other.modified_);
    watch_ = std::move(other.watch_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

}  // namespace quern
