#include "engine/failure.h"

#include <new>

#include "base/error.h"
#include "base/log.h"

namespace quern {
namespace {

std::string full_text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::bad_alloc&) {
        return "this machine has no memory left for it: try again later, or give the model less (--kv-budget, --parallel)";
    } catch (const std::exception& known) {
        return known.what();
    } catch (...) {
        return "something was thrown that does not say what it is";
    }
}

}  // namespace

std::string text_of(const std::exception_ptr& error) noexcept {
    try {
        return full_text_of(error);
    } catch (...) {
        return "out of memory";  // so short that it takes none
    }
}

void log_failure(const char* what, const std::exception_ptr& error) noexcept {
    try {
        log_error(concat(what, ": ", text_of(error)));
    } catch (...) {  // the log is not worth a request
    }
}

}  // namespace quern
