#include "convert/vocabulary/sentencepiece_model.h"

#include <cstring>

#include "base/error.h"
#include "base/printable.h"
#include "gguf/cursor.h"

namespace quern {
namespace {

constexpr uint64_t unigram = 1, bpe = 2;  // TrainerSpec.ModelType

/// One field of a message: a number, or bytes.
struct Field {
    uint32_t number = 0;
    uint64_t value = 0;  ///< of types varint, fixed64 and fixed32
    std::span<const std::byte> bytes;
    bool is_bytes = false;

    float real() const {
        const auto low = static_cast<uint32_t>(value);
        float out;
        std::memcpy(&out, &low, sizeof out);
        return out;
    }
    std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

uint64_t read_varint(Cursor& cursor) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const auto byte = cursor.read<uint8_t>("a number");
        value |= static_cast<uint64_t>(byte & 0x7F) << shift;
        if (!(byte & 0x80)) return value;
    }
    cursor.fail("a number of more than 64 bits", cursor.offset());
}

Field read_field(Cursor& cursor) {
    const uint64_t at = cursor.offset(), tag = read_varint(cursor);
    if (tag >> 35 || tag < 8) cursor.fail("this is no SentencePiece model", at);
    Field field{.number = static_cast<uint32_t>(tag >> 3)};
    switch (tag & 7) {
        case 0:
            field.value = read_varint(cursor);
            break;
        case 1:
            field.value = cursor.read<uint64_t>("a number");
            break;
        case 2: {
            const uint64_t n = read_varint(cursor);
            field.bytes = {cursor.skip(n, "a field"), static_cast<size_t>(n)};
            field.is_bytes = true;
            break;
        }
        case 5:
            field.value = cursor.read<uint32_t>("a number");
            break;
        default:
            cursor.fail("this is no SentencePiece model", at);
    }
    return field;
}

template <typename Use>
void for_each_field(std::span<const std::byte> message, std::string_view path, Use&& use) {
    for (Cursor cursor(message, path); cursor.bytes_left() > 0;) use(read_field(cursor));
}

void read_piece(std::span<const std::byte> message, std::string_view path, ConvertedVocabulary& out) {
    std::string_view piece;
    float score = 0.0f;
    uint64_t kind = 1;
    for_each_field(message, path, [&](const Field& field) {
        if (field.number == 1 && field.is_bytes) piece = field.text();
        if (field.number == 2 && !field.is_bytes) score = field.real();
        if (field.number == 3 && !field.is_bytes) kind = field.value;
    });
    if (kind < 1 || kind > 6) throw ModelError(concat(printable(path), ": token ", out.n_tokens(), " has the type ", kind));
    if (!is_utf8(piece)) throw ModelError(concat(printable(path), ": token ", out.n_tokens(), " is no UTF-8"));
    out.scores.push_back(score);
    out.set(static_cast<int64_t>(out.n_tokens()), piece, static_cast<TokenKind>(kind));
}

}  // namespace

ConvertedVocabulary read_sentencepiece_model(std::span<const std::byte> file, std::string_view path) {
    ConvertedVocabulary out;
    uint64_t type = unigram;
    out.add_space_prefix = true;  // what the fields' absence means
    out.remove_extra_whitespaces = true;
    for_each_field(file, path, [&](const Field& field) {
        if (!field.is_bytes) return;
        if (field.number == 1) read_piece(field.bytes, path, out);
        if (field.number == 2)
            for_each_field(field.bytes, path, [&](const Field& inner) {
                if (inner.number == 3) type = inner.value;
            });
        if (field.number == 3)
            for_each_field(field.bytes, path, [&](const Field& inner) {
                if (inner.number == 2 && inner.is_bytes) out.charsmap = inner.text();
                if (inner.number == 3) out.add_space_prefix = inner.value != 0;
                if (inner.number == 4) out.remove_extra_whitespaces = inner.value != 0;
            });
    });
    if (out.pieces.empty()) throw ModelError(concat(printable(path), ": holds no tokens, so it is no SentencePiece model"));
    if (type != unigram && type != bpe)
        throw ModelError(concat(printable(path), ": is a SentencePiece model of the type ", type, "; quern knows BPE and Unigram"));
    out.model = type == bpe ? "llama" : "t5";
    return out;
}

}  // namespace quern
