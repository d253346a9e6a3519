// Files that hold importance matrices: GGUF, and the older .dat, both as llama.cpp writes and reads them.
// GGUF: general.type "imatrix"; imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size; for each weight NAME the f32 tensors
// NAME.in_sum2 [n_matrices, n_cols] and NAME.counts [n_matrices, 1]. .dat, little-endian: i32 n_entries; for each i32 length, name, i32
// n_chunks, i32 n_values, f32 values (mean squares times n_chunks); then, in most files, i32 n_chunks, i32 length, name of the text.
#pragma once

#include <optional>
#include <string>

#include "convert/imatrix.h"

namespace quern {

enum class ImatrixFormat : uint8_t { gguf, dat };

/// An unfinished run's mark in its file, so that it can go on from there.
struct ImatrixProgress {
    std::string run;            ///< what is being run: model, text and settings
    int64_t n_chunks_done = 0;  ///< of that text
};

struct ImatrixFile {
    Imatrix imatrix;
    std::optional<ImatrixProgress> progress;  ///< the file is that of an unfinished run
};

/// Either format, told apart by the first bytes. @param dat_chunk_size  tokens in a chunk where the file does not say
/// @throws ModelError  "FILE: what is wrong" for a file that is none, is truncated, or holds a value that cannot be
ImatrixFile read_imatrix(const std::string& path, int64_t dat_chunk_size = 512);

/// The file appears whole or not at all. @throws InvalidInput, DeviceError
void write_imatrix(const ImatrixFile& file, const std::string& path, ImatrixFormat format);

}  // namespace quern
