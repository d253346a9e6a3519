#include "base/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <mutex>

#include <spdlog/details/file_helper.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "base/error.h"
#include "base/printable.h"

namespace quern {
namespace {

std::atomic<bool> drops_what_blocks = false;
std::mutex standard_error_mutex;                      // between the question whether there is room and the writing
constexpr size_t message_bytes = at_once_bytes - 96;  // the time, the level and colours are beside it

class StandardErrorSink : public spdlog::sinks::stderr_color_sink_mt {
  public:
    void log(const spdlog::details::log_msg& message) override {
        if (!drops_what_blocks) return spdlog::sinks::stderr_color_sink_mt::log(message);
        spdlog::details::log_msg cut = message;
        cut.payload = {message.payload.data(), std::min(message.payload.size(), message_bytes)};
        const std::lock_guard lock(standard_error_mutex);
        if (!has_to_wait(STDERR_FILENO)) spdlog::sinks::stderr_color_sink_mt::log(cut);
    }
};

class LogFileSink : public spdlog::sinks::base_sink<std::mutex> {
  public:
    explicit LogFileSink(std::string path) : path_(std::move(path)) { reopen(); }

    void reopen() {
        const auto fail = [&] { throw InvalidInput(concat("cannot write the log to ", path_), "log_file"); };
        if (!std::ofstream(path_, std::ios::app)) fail();  // spdlog would make the folders
        auto fresh = std::make_unique<spdlog::details::file_helper>();
        try {
            fresh->open(path_);
        } catch (const spdlog::spdlog_ex&) {
            fail();
        }
        const std::lock_guard lock(mutex_);
        file_.swap(fresh);
    }

    void write(std::string_view lines) {
        spdlog::memory_buf_t bytes;
        bytes.append(lines.data(), lines.data() + lines.size());
        const std::lock_guard lock(mutex_);
        file_->write(bytes);
        file_->flush();
    }

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        file_->write(line);
    }
    void flush_() override { file_->flush(); }

  private:
    const std::string path_;
    std::unique_ptr<spdlog::details::file_helper> file_;
};

std::shared_ptr<LogFileSink> log_file;  // set before other threads log

spdlog::logger& logger() {
    static const std::shared_ptr<spdlog::logger> instance = [] {
        auto made = std::make_shared<spdlog::logger>("quern", std::make_shared<StandardErrorSink>());
        made->set_pattern("%H:%M:%S.%e %^%l%$ %v");
        made->set_level(spdlog::level::warn);
        return made;
    }();
    return *instance;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
        case LogLevel::off:
            return spdlog::level::off;
    }
    return spdlog::level::warn;
}

}  // namespace

void set_log_level(LogLevel level) { logger().set_level(to_spdlog(level)); }

LogLevel log_level() {
    switch (logger().level()) {
        case spdlog::level::trace:
        case spdlog::level::debug:
            return LogLevel::debug;
        case spdlog::level::info:
            return LogLevel::info;
        case spdlog::level::warn:
            return LogLevel::warning;
        case spdlog::level::off:
            return LogLevel::off;
        default:
            return LogLevel::error;
    }
}

void log_to_file(const std::string& path) {
    log_file = std::make_shared<LogFileSink>(path);
    logger().sinks() = {log_file};
    logger().set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
    logger().flush_on(spdlog::level::trace);
}

void reopen_log_file() {
    if (log_file) log_file->reopen();
}

bool has_to_wait(int file) {
    pollfd state{.fd = file, .events = POLLOUT, .revents = 0};
    return poll(&state, 1, 0) != 1 || state.revents != POLLOUT;
}

void drop_messages_that_block() { drops_what_blocks = true; }

void log_lines(std::string_view lines) {
    if (log_level() > LogLevel::warning) return;
    if (log_file) return log_file->write(lines);
    const std::lock_guard lock(standard_error_mutex);
    if (drops_what_blocks) lines = has_to_wait(STDERR_FILENO) ? std::string_view() : lines.substr(0, at_once_bytes);
    std::fwrite(lines.data(), 1, lines.size(), stderr);
}

void log_debug(std::string_view message) { logger().debug("{}", one_line(message)); }
void log_info(std::string_view message) { logger().info("{}", one_line(message)); }
void log_warning(std::string_view message) { logger().warn("{}", one_line(message)); }
void log_error(std::string_view message) { logger().error("{}", one_line(message)); }

}  // namespace quern
