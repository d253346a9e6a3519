#include "tools/text_file.h"

#include <fstream>
#include <iterator>

#include "base/error.h"

namespace quern {

std::string read_text_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw InvalidInput(concat("cannot read ", path), "file");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (file.bad()) throw InvalidInput(concat("cannot read ", path), "file");
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

}  // namespace quern
