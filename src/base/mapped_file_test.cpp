#include "base/mapped_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/file_faults.h"

using namespace quern;

namespace {

constexpr size_t n_bytes = 64 << 10;

class TemporaryFile {
  public:
    explicit TemporaryFile(const char* name)
        : path_((std::filesystem::temp_directory_path() / (std::string("quern_mapped_") + name + std::to_string(getpid()))).string()) {
        std::ofstream(path_) << std::string(n_bytes, 'x');
    }
    ~TemporaryFile() { std::filesystem::remove(path_); }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

/// Handlers of SIGBUS are as before at the end of the scope.
class KeptHandler {
  public:
    KeptHandler() { sigaction(SIGBUS, nullptr, &before_); }
    ~KeptHandler() { sigaction(SIGBUS, &before_, nullptr); }

  private:
    struct sigaction before_ {};
};

size_t count(const MappedFile& file, char c) {
    return static_cast<size_t>(std::count(file.bytes().begin(), file.bytes().end(), static_cast<std::byte>(c)));
}

}  // namespace

TEST_CASE("a mapped file that becomes shorter reads as zeros from there on, and says so") {
    const KeptHandler kept;
    survive_file_faults([](int) { _exit(1); });
    const TemporaryFile made("short"), other_made("whole");
    const MappedFile file(made.path()), other(other_made.path());
    CHECK(count(file, 'x') == n_bytes);
    CHECK(file.damage().empty());
    REQUIRE(truncate(made.path().c_str(), 4096) == 0);
    CHECK(file.damage().find(made.path()) != std::string::npos);  // before anything is read
    CHECK(count(file, 'x') == 4096);
    CHECK(count(file, '\0') == n_bytes - 4096);
    CHECK(file.damage().find("shorter") != std::string::npos);
    CHECK(count(other, 'x') == n_bytes);
    CHECK(other.damage().empty());
}

TEST_CASE("a mapped file that is overwritten in place says so, and one that is replaced stays whole") {
    const TemporaryFile made("overwritten"), replaced("replaced"), next("next");
    const MappedFile file(made.path()), other(replaced.path());
    std::filesystem::rename(next.path(), replaced.path());
    CHECK(other.damage().empty());
    CHECK(count(other, 'x') == n_bytes);
    const int descriptor = ::open(made.path().c_str(), O_WRONLY);
    CHECK(::pwrite(descriptor, "y", 1, 100) == 1);
    const timespec times[2] = {{0, UTIME_OMIT}, {1'000'000'000, 0}};  // clocks may be too coarse to tell
    CHECK(::futimens(descriptor, times) == 0);
    ::close(descriptor);
    CHECK(file.damage().find("changed") != std::string::npos);
}

TEST_CASE("watches move with their files, and are given back") {
    const KeptHandler kept;
    survive_file_faults([](int) { _exit(1); });
    for (int i = 0; i < 3000; ++i) {  // more than there are places
        const TemporaryFile made("moved");
        MappedFile file(made.path());
        MappedFile moved(std::move(file));
        if (i % 1000 != 999) continue;
        REQUIRE(truncate(made.path().c_str(), 0) == 0);
        CHECK(count(moved, '\0') == n_bytes);
        CHECK(!moved.damage().empty());
    }
}
