#include "convert/vocabulary/vocabulary_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>

#include "base/error.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "convert/checkpoint/json_file.h"
#include "convert/vocabulary/base64.h"
#include "convert/vocabulary/tokenizer_json.h"

namespace quern {
namespace {

constexpr size_t longest_token = 1024;  // bytes: taking a longer one apart would take too long, and none is

template <typename Use>
void for_each_line(std::string_view text, Use&& use) {
    for (size_t number = 1; !text.empty(); ++number) {
        const size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        use(line, number);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
}

/// GPT-2's printable spelling of bytes.
std::string spell_bytes(std::string_view bytes) {
    static const std::array<std::string, 256> spelling = [] {
        std::array<std::string, 256> all;
        char32_t next = 0x100;
        for (uint32_t byte = 0; byte < 256; ++byte) {
            const bool plain = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
            append_utf8(all[byte], plain ? byte : next++);
        }
        return all;
    }();
    std::string out;
    for (const char c : bytes) out += spelling[static_cast<uint8_t>(c)];
    return out;
}

using Ranks = std::unordered_map<std::string, int64_t>;

/// The two parts that merge last into the token, when only lower ranks may merge; empty if it is never made by merging two.
std::vector<std::string> last_parts(const std::string& token, int64_t rank, const Ranks& ranks) {
    std::vector<std::string> parts;
    for (const char c : token) parts.emplace_back(1, c);
    for (;;) {
        int64_t best = rank;
        size_t at = 0;
        for (size_t i = 0; i + 1 < parts.size(); ++i) {
            const auto found = ranks.find(parts[i] + parts[i + 1]);
            if (found != ranks.end() && found->second < best) best = found->second, at = i;
        }
        if (best == rank) return parts;
        parts[at] += parts[at + 1];
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
}

}  // namespace

ConvertedVocabulary read_gpt2_files(std::string_view vocab_json, std::string_view merges, std::string_view path) {
    ConvertedVocabulary out;
    out.model = "gpt2";
    out.pre = "gpt-2";
    read_piece_ids(parse_json(vocab_json, path), path, out);
    for_each_line(merges, [&](std::string_view line, size_t number) {
        if (line.empty() || (number == 1 && line.starts_with("#version"))) return;
        if (line.find(' ', 1) == std::string_view::npos)
            throw ModelError(concat(printable(path), ": line ", number, " of merges.txt is no pair"));
        out.merges.emplace_back(line);
    });
    return out;
}

ConvertedVocabulary read_tiktoken(std::string_view text, std::string_view path) {
    ConvertedVocabulary out;
    out.model = "gpt2";
    out.pre = "qwen2";  // the published pattern of the only family whose folders hold such a file
    Ranks ranks;
    std::vector<std::pair<int64_t, std::string>> tokens;
    for_each_line(text, [&](std::string_view line, size_t number) {
        if (line.empty()) return;
        const size_t space = line.find(' ');
        int64_t rank = -1;
        if (space != std::string_view::npos) std::from_chars(line.data() + space + 1, line.data() + line.size(), rank);
        const auto bytes = decode_base64(line.substr(0, space));
        if (rank < 0 || !bytes || bytes->empty() || bytes->size() > longest_token)
            throw ModelError(concat(printable(path), ": line ", number, " is no token in base64 with a rank"));
        out.set(rank, spell_bytes(*bytes), TokenKind::normal);
        ranks.emplace(*bytes, rank);
        tokens.emplace_back(rank, *bytes);
    });
    std::sort(tokens.begin(), tokens.end());
    for (const auto& [rank, bytes] : tokens) {
        if (bytes.size() < 2) continue;
        const auto parts = last_parts(bytes, rank, ranks);
        if (parts.size() == 2) out.merges.push_back(concat(spell_bytes(parts[0]), " ", spell_bytes(parts[1])));
    }
    return out;
}

ConvertedVocabulary read_vocab_txt(std::string_view text, std::string_view path) {
    ConvertedVocabulary out;
    out.model = "bert";
    for_each_line(text, [&](std::string_view line, size_t number) {
        if (!is_utf8(line)) throw ModelError(concat(printable(path), ": line ", number, " is no UTF-8"));
        const bool special = line.size() > 2 && line.starts_with('[') && line.ends_with(']');
        out.set(static_cast<int64_t>(number) - 1, line, special ? TokenKind::control : TokenKind::normal);
        if (line == "[UNK]") out.special_ids["unknown"] = static_cast<int32_t>(number) - 1;
    });
    if (out.pieces.empty()) throw ModelError(concat(printable(path), ": holds no tokens"));
    return out;
}

void mark_word_starts(ConvertedVocabulary& v) {
    for (size_t id = 0; id < v.n_tokens(); ++id) {
        if (v.kinds[id] != static_cast<int32_t>(TokenKind::normal)) continue;
        v.pieces[id] = v.pieces[id].starts_with("##") ? v.pieces[id].substr(2) : "\xE2\x96\x81" + v.pieces[id];
    }
}

}  // namespace quern
