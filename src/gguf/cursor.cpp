#include "gguf/cursor.h"

#include "base/error.h"
#include "base/printable.h"

namespace quern {

// A length from a file is a lie until it fits in the bytes that are left.
uint64_t Cursor::read_count(std::string_view what, uint64_t bytes_each) {
    const uint64_t at = offset_;
    const uint64_t n = read<uint64_t>(what);
    if (n > bytes_left() / bytes_each) {
        const std::string claim = concat(what, ": ", n, " of at least ", bytes_each, bytes_each == 1 ? " byte" : " bytes");
        fail(concat(claim, " do not fit in the ", bytes_left(), " bytes left"), at);
    }
    return n;
}

std::string_view Cursor::read_string(std::string_view what) {
    const uint64_t at = offset_;
    const uint64_t length = read<uint64_t>(what);
    if (length > bytes_left()) fail(concat(what, ": ", length, " bytes of text do not fit in the ", bytes_left(), " left"), at);
    return {reinterpret_cast<const char*>(skip(length, what)), static_cast<size_t>(length)};
}

void Cursor::fail(std::string_view what, uint64_t at) const {
    std::string message = printable(path_) + ": ";
    if (!subject_kind_.empty()) message += concat(subject_kind_, ' ', quoted(subject_), ": ");
    throw ModelError(concat(message, what, ", at byte ", at));
}

void Cursor::fail_short(uint64_t n, std::string_view what) const {
    fail(concat("the file ends inside ", what, ", which takes ", n, " bytes, ", n - bytes_left(), " more than there are"), offset_);
}

}  // namespace quern
