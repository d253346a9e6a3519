#include "base/utf8.h"

#include <algorithm>

namespace quern {
namespace {

uint8_t byte_at(std::string_view text, size_t at) { return static_cast<uint8_t>(text[at]); }

// Length that the first byte announces, and the bounds of the second: they exclude overlong forms, surrogates and too large values.
struct Lead {
    size_t n_bytes;
    uint8_t low, high;
};

Lead lead_of(uint8_t byte) {
    if (byte < 0x80) return {1, 0, 0};
    if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
    if (byte == 0xE0) return {3, 0xA0, 0xBF};
    if (byte == 0xED) return {3, 0x80, 0x9F};
    if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
    if (byte == 0xF0) return {4, 0x90, 0xBF};
    if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
    if (byte == 0xF4) return {4, 0x80, 0x8F};
    return {0, 0, 0};
}

// How many bytes at `at` agree with one character, and whether they are all of it.
struct Match {
    size_t n_bytes = 0;
    bool complete = false;
};

Match match_at(std::string_view text, size_t at) {
    const Lead lead = lead_of(byte_at(text, at));
    if (lead.n_bytes == 0) return {};
    size_t n = 1;
    for (; n < lead.n_bytes && at + n < text.size(); ++n) {
        const uint8_t byte = byte_at(text, at + n);
        const bool fits = n == 1 ? byte >= lead.low && byte <= lead.high : (byte & 0xC0) == 0x80;
        if (!fits) return {n, false};
    }
    return {n, n == lead.n_bytes};
}

}  // namespace

CodePoint decode_utf8(std::string_view text, size_t at) noexcept {
    const Match match = match_at(text, at);
    if (!match.complete) return {};
    if (match.n_bytes == 1) return {byte_at(text, at), 1};
    char32_t value = byte_at(text, at) & (0x7Fu >> match.n_bytes);
    for (size_t i = 1; i < match.n_bytes; ++i) value = value << 6 | (byte_at(text, at + i) & 0x3Fu);
    return {value, match.n_bytes};
}

size_t valid_utf8_prefix(std::string_view text) noexcept {
    size_t at = 0;
    while (at < text.size()) {
        if (byte_at(text, at) < 0x80) {
            ++at;
            continue;
        }
        const Match match = match_at(text, at);
        if (!match.complete) break;
        at += match.n_bytes;
    }
    return at;
}

size_t incomplete_utf8_tail(std::string_view text) noexcept {
    for (size_t n = 1; n <= std::min<size_t>(3, text.size()); ++n) {
        const size_t at = text.size() - n;
        if ((byte_at(text, at) & 0xC0) == 0x80) continue;  // inside a character: look for its first byte
        const Match match = match_at(text, at);
        return !match.complete && match.n_bytes == n ? n : 0;
    }
    return 0;
}

void append_utf8(std::string& out, char32_t c) {
    const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0 | c >> 6);
        put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        put(0xE0 | c >> 12);
        put(0x80 | (c >> 6 & 0x3F));
        put(0x80 | (c & 0x3F));
    } else {
        put(0xF0 | c >> 18);
        put(0x80 | (c >> 12 & 0x3F));
        put(0x80 | (c >> 6 & 0x3F));
        put(0x80 | (c & 0x3F));
    }
}

std::string repair_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const size_t n_valid = valid_utf8_prefix(text);
        out += text.substr(0, n_valid);
        text.remove_prefix(n_valid);
        if (text.empty()) break;
        out += "\xEF\xBF\xBD";
        text.remove_prefix(std::max<size_t>(1, match_at(text, 0).n_bytes));
    }
    return out;
}

}  // namespace quern
