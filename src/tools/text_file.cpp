#include "tools/text_file.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.h"

namespace quern {

std::string read_whole_file(const std::string& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) throw InvalidInput(concat(path, " is a folder, not a file"), "file");
    std::ifstream file(path, std::ios::binary);
    if (!file) throw InvalidInput(concat("cannot read ", path), "file");
    try {
        return {std::istreambuf_iterator<char>(file), {}};
    } catch (const std::ios_base::failure&) {
        throw InvalidInput(concat("cannot read ", path), "file");
    }
}

std::string read_text_file(const std::string& path) {
    std::string text = read_whole_file(path);
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

}  // namespace quern
