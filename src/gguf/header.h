// Everything of one GGUF file that stands before its tensor data, as a function of bytes: no file system, no splits.
// Source: the GGUF specification, versions 2 and 3 (the layout is the same).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "gguf/gguf_file.h"
#include "gguf/metadata.h"

namespace quern {

constexpr uint32_t default_alignment = 32;  ///< when general.alignment is absent
constexpr uint32_t min_alignment = 8;       ///< below, the 64-bit types would lie unaligned in memory
constexpr uint64_t max_name_bytes = 65535;  ///< of keys, by the specification; of tensors too

struct GgufHeader {
    uint32_t version = 3;
    uint64_t alignment = default_alignment;
    uint64_t data_offset = 0;  ///< where tensor data begins; may lie beyond the end if there are no tensors
    Metadata metadata;
    std::vector<GgufTensor> tensors;  ///< in file order; names are unique, data lies within the file and does not overlap
};

/// The names and values are views into `file`.
/// @throws ModelError  "PATH: what, at byte N" for anything malformed
/// Cost: one pass over the header; allocates at most a small multiple of the file's size, whatever the file claims.
GgufHeader parse_header(std::span<const std::byte> file, std::string_view path);

/// `n` rounded up to a multiple of `alignment`, a power of two.
constexpr uint64_t align_up(uint64_t n, uint64_t alignment) { return (n + alignment - 1) & ~(alignment - 1); }

}  // namespace quern
