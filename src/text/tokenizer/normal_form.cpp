#include "text/tokenizer/normal_form.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "base/utf8.h"

namespace quern {
namespace {

struct Free {
    void operator()(uint8_t* text) const { std::free(text); }
};

void append_nfc(std::string& out, std::string_view text) {
    utf8proc_uint8_t* composed = nullptr;
    const auto n = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                                &composed, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    const std::unique_ptr<uint8_t, Free> owner(composed);
    if (n == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
    if (n < 0)
        out += text;
    else
        out.append(reinterpret_cast<const char*>(composed), static_cast<size_t>(n));
}

}  // namespace

std::string to_nfc(std::string_view text) {
    std::string out;
    if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })) return std::string(text);
    while (!text.empty()) {
        const size_t n_valid = valid_utf8_prefix(text);
        if (n_valid) append_nfc(out, text.substr(0, n_valid));
        text.remove_prefix(n_valid);
        if (text.empty()) break;
        out += text.front();
        text.remove_prefix(1);
    }
    return out;
}

}  // namespace quern
