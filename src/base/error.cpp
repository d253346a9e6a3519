#include "base/error.h"

namespace quern {

void fail_check(const char* condition, const char* file, int line) {
    std::string_view path = file;
    if (const auto at = path.rfind("src/"); at != std::string_view::npos) path.remove_prefix(at);
    throw InternalError(concat("internal check failed: ", condition, " (", path, ":", line, "); please report this"));
}

}  // namespace quern
