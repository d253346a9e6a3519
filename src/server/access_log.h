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

  private:
    struct Closer {
        bool owns = true;
        void operator()(std::FILE* file) const {
            if (owns) std::fclose(file);
        }
    };
    std::mutex mutex_;
    std::unique_ptr<std::FILE, Closer> file_;
    bool may_block_ = false;  // a pipe, a terminal or a socket
};

}  // namespace quern
