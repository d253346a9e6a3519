// A text that the user names by its file.
#pragma once

#include <string>

namespace quern {

/// @throws InvalidInput  when it cannot be read, or is a folder
std::string read_whole_file(const std::string& path);
/// The whole text, but for the newline that editors put last. @throws InvalidInput  when it cannot be read
std::string read_text_file(const std::string& path);

}  // namespace quern
