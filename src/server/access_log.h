// One line of JSON for each request: who asked what kind of thing, how it ended, how long it took. Never what was asked or answered.
#pragma once

#include <cstdio>
#include <memory>
#include <mutex>
#include <string>

#include "server/http/answer.h"

namespace quern {

/// Any thread.
class AccessLog {
  public:
    /// Appends to the file; "-" is standard output. Lines that a pipe or a terminal has no room for are dropped: nobody waits for its
    /// reader.
    /// @throws DeviceError  it cannot be opened
    explicit AccessLog(const std::string& path);

    void write(const AccessRecord& record);
    /// Goes on in the file that has the path now: the old one may have been moved away. @throws DeviceError  then it goes on where it was
    void reopen();

  private:
    struct Closer {
        bool owns = true;
        void operator()(std::FILE* file) const {
            if (owns) std::fclose(file);
        }
    };
    using File = std::unique_ptr<std::FILE, Closer>;
    static File open(const std::string& path);

    const std::string path_;
    std::mutex mutex_;
    File file_;       // guarded by mutex_, like all below
    bool may_block_;  // a pipe, a terminal or a socket
};

}  // namespace quern
