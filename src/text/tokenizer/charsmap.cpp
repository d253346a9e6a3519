#include "text/tokenizer/charsmap.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/utf8.h"

namespace quern {
namespace {

constexpr size_t longest_cluster = 5;  // bytes; longer ones are looked up character by character

// A unit holds a label (bits 0 to 7, and bit 31 in those of leaves), whether a value hangs below (bit 8), and the distance to its children.
uint32_t label_of(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
bool has_value(uint32_t unit) { return unit >> 8 & 1; }
uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }

/// The end of the grapheme cluster that begins at `at`.
size_t cluster_end(std::string_view text, size_t at) {
    CodePoint c = decode_utf8(text, at);
    at += std::max<size_t>(1, c.n_bytes);
    utf8proc_int32_t state = 0;
    while (at < text.size() && c.n_bytes > 0) {
        if (static_cast<uint8_t>(text[at]) < 0x80 && c.value != '\r') return at;  // nothing but \r joins with ASCII behind it
        const CodePoint next = decode_utf8(text, at);
        if (next.n_bytes == 0 ||
            utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(c.value), static_cast<utf8proc_int32_t>(next.value), &state))
            return at;
        at += next.n_bytes;
        c = next;
    }
    return at;
}

}  // namespace

Charsmap::Charsmap(std::span<const char> map) {
    if (map.empty()) return;
    uint32_t n_bytes = 0;
    if (map.size() >= sizeof n_bytes) std::memcpy(&n_bytes, map.data(), sizeof n_bytes);
    if (n_bytes == 0 || n_bytes % sizeof(uint32_t) || n_bytes > map.size() - sizeof n_bytes)
        throw ModelError(
            concat("the normalizer's map of ", map.size(), " bytes says that its trie has ", n_bytes, ": the map is broken or cut off"));
    units_.resize(n_bytes / sizeof(uint32_t));
    std::memcpy(units_.data(), map.data() + sizeof n_bytes, n_bytes);
    replacements_.assign(map.begin() + sizeof n_bytes + n_bytes, map.end());
}

// What stands for the shortest beginning of the key that the map knows.
std::optional<std::string_view> Charsmap::find(std::string_view key) const noexcept {
    size_t node = offset_of(unit(0));
    for (const char c : key) {
        const auto byte = static_cast<uint8_t>(c);
        node ^= byte;
        const uint32_t here = unit(node);
        if (label_of(here) != byte || node >= units_.size()) return std::nullopt;
        node ^= offset_of(here);
        if (!has_value(here)) continue;
        const size_t at = unit(node) & 0x7FFFFFFF;
        if (at >= replacements_.size()) return std::nullopt;
        const size_t n = std::min(replacements_.find('\0', at), replacements_.size()) - at;
        if (n > most_replaced_bytes) return std::nullopt;
        return std::string_view(replacements_).substr(at, n);
    }
    return std::nullopt;
}

void Charsmap::append_cluster(std::string_view cluster, std::string& out) const {
    if (cluster.size() <= longest_cluster)
        if (const auto replacement = find(cluster)) {
            out += *replacement;
            return;
        }
    for (size_t at = 0; at < cluster.size();) {
        const size_t n = decode_utf8(cluster, at).n_bytes;
        if (n == 0)
            append_utf8(out, 0xFFFD);
        else
            out += find(cluster.substr(at, n)).value_or(cluster.substr(at, n));
        at += std::max<size_t>(1, n);
    }
}

void Charsmap::append_normalized(std::string_view text, std::string& out) const {
    for (size_t at = 0; at < text.size();) {
        const size_t end = cluster_end(text, at);
        append_cluster(text.substr(at, end - at), out);
        at = end;
    }
}

}  // namespace quern
