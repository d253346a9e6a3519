#include "server/access_log.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/error.h"
#include "base/log.h"
#include "server/generation/wording.h"

namespace quern {
namespace {

std::string time_now() {
    const auto now = std::chrono::system_clock::now();
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[48], whole[64];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(whole, sizeof whole, "%s.%03dZ", text, static_cast<int>(ms));
    return whole;
}

bool is_regular(std::FILE* file) {
    struct stat kind {};
    return fstat(fileno(file), &kind) == 0 && S_ISREG(kind.st_mode);
}

}  // namespace

AccessLog::File AccessLog::open(const std::string& path) {
    File file(path == "-" ? stdout : std::fopen(path.c_str(), "ae"), Closer{path != "-"});
    if (!file) throw DeviceError(concat("cannot write the access log ", path, ": ", std::strerror(errno)));
    return file;
}

AccessLog::AccessLog(const std::string& path) : path_(path), file_(open(path)), may_block_(!is_regular(file_.get())) {}

void AccessLog::reopen() {
    File fresh = open(path_);
    const std::lock_guard lock(mutex_);
    may_block_ = !is_regular(fresh.get());
    file_.swap(fresh);
}

void AccessLog::write(const AccessRecord& record) {
    const Json line = {{"time", time_now()},
                       {"id", record.id},
                       {"remote", record.remote},
                       {"method", record.method},
                       {"path", record.path},
                       {"status", record.status},
                       {"complete", record.is_complete},
                       {"request_bytes", record.n_request_bytes},
                       {"response_bytes", record.n_response_bytes},
                       {"ms", static_cast<double>(record.time.count()) / 1000}};
    const std::string text = json_line(line);
    const std::lock_guard lock(mutex_);
    if (may_block_ && (text.size() > at_once_bytes || has_to_wait(fileno(file_.get())))) return;
    std::fwrite(text.data(), 1, text.size(), file_.get());
    std::fflush(file_.get());
}

}  // namespace quern
