// One logger for the process, writing to standard error. Libraries log through it and never print. A message
// is one line: control characters in it, from a hostile file for example, are escaped.
#pragma once

#include <string>
#include <string_view>

namespace quern {

enum class LogLevel { debug, info, warning, error, off };

/// Messages below `level` are dropped. The default is warning. Any thread.
void set_log_level(LogLevel level);
LogLevel log_level();

/// Writes to the end of a file from now on, instead of to standard error. Before other threads log.
/// @throws InvalidInput  when it cannot be written
void log_to_file(const std::string& path);

/// Opens the file of log_to_file() again by its name, if there is one: the old one may have been moved away. Any thread.
/// @throws InvalidInput  when it cannot be written; then the log goes on in the old one
void reopen_log_file();

/// From now on messages that standard error would have to wait for are dropped: for a server, which goes on when nobody reads what it says.
void drop_messages_that_block();

constexpr size_t at_once_bytes = 4096;  ///< what a pipe takes when it says that it takes something
/// Whether writing up to at_once_bytes to the file would wait for somebody who reads, or fail.
bool has_to_wait(int file);

/// Writes lines as they are to where the log goes, where warnings are not dropped.
void log_lines(std::string_view lines);

void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warning(std::string_view message);
void log_error(std::string_view message);

}  // namespace quern
