// Reads the fields of a hostile file in order and never beyond its end.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace quern {

static_assert(std::endian::native == std::endian::little, "GGUF fields are read as they lie, which is little-endian");

/// A position in a file's bytes. Every error is a ModelError "PATH: what is wrong, at byte N" of one line.
/// Neither the bytes nor the path are owned; strings returned are views into the bytes.
class Cursor {
  public:
    Cursor(std::span<const std::byte> bytes, std::string_view path) : bytes_(bytes), path_(path) {}

    uint64_t offset() const noexcept { return offset_; }
    uint64_t bytes_left() const noexcept { return bytes_.size() - offset_; }

    /// The next field, a number of any alignment; `what` names it in the error.
    template <typename T>
    T read(std::string_view what) {
        T value;
        std::memcpy(&value, skip(sizeof(T), what), sizeof(T));
        return value;
    }

    /// A 64-bit count of things that take at least `bytes_each` of the bytes that follow, so it may be trusted with an allocation.
    /// REQUIRES: bytes_each >= 1
    uint64_t read_count(std::string_view what, uint64_t bytes_each);

    /// A 64-bit length and that many bytes.
    std::string_view read_string(std::string_view what);

    /// Passes over `n` bytes and returns the first.
    const std::byte* skip(uint64_t n, std::string_view what) {
        if (n > bytes_left()) fail_short(n, what);
        const std::byte* at = bytes_.data() + offset_;
        offset_ += n;
        return at;
    }

    /// From here on errors begin with, for example, `key "general.name"`. An empty kind ends that.
    void set_subject(std::string_view kind, std::string_view name) noexcept {
        subject_kind_ = kind;
        subject_ = name;
    }

    [[noreturn]] void fail(std::string_view what, uint64_t at) const;

  private:
    [[noreturn]] void fail_short(uint64_t n, std::string_view what) const;

    std::span<const std::byte> bytes_;
    std::string_view path_;
    uint64_t offset_ = 0;
    std::string_view subject_kind_;
    std::string_view subject_;
};

}  // namespace quern
