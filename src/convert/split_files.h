// Models in several files: NAME-00001-of-0000N.gguf. The first has all keys, each has its share of the tensors.
// Source: llama.cpp's gguf-split naming and keys (split.no, split.count, split.tensors.count).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gguf/gguf_file.h"
#include "gguf/gguf_writer.h"

namespace quern {

/// @param number  from 1
std::string split_part_path(const std::string& prefix, int number, int count);
/// The prefix of a path that ends in -0000N-of-0000M.gguf.
std::optional<std::string> split_prefix(const std::string& path);
/// Sets the keys that make a file the part `number`, from 1, of `count`.
void set_split_keys(GgufWriter& writer, int number, int count, size_t n_tensors);

/// Where to cut: whichever limit is met first begins a new part; 0 means no limit.
struct SplitLimits {
    size_t max_tensors = 0;
    uint64_t max_bytes = 0;  ///< of a part's tensors
    bool first_without_tensors = false;
};
/// How many tensors each part gets, in file order. At least one part. A tensor above max_bytes has a part of its own.
/// @throws InvalidInput  when there would be more than 65535 parts
std::vector<size_t> cut_into_parts(std::span<const GgufTensor> tensors, const SplitLimits& limits);

/// A file being written would take the place of one being read. @throws InvalidInput  naming it
void refuse_own_parts(const GgufFile& source, std::span<const std::string> targets);

/// The files of one model: those that are written go again if the last of them cannot be.
class PartFiles {
  public:
    PartFiles() = default;
    ~PartFiles();
    PartFiles(const PartFiles&) = delete;
    PartFiles& operator=(const PartFiles&) = delete;

    void add(const std::string& path) { paths_.push_back(path); }
    /// All are there. @return their paths
    std::vector<std::string> keep() { return std::exchange(paths_, {}); }

  private:
    std::vector<std::string> paths_;
};

/// Writes the parts beside each other; all of them appear, each whole, or none. Returns their paths.
std::vector<std::string> split_model(const GgufFile& file, const std::string& prefix, const SplitLimits& limits);
/// Writes all parts of an opened file as one.
void merge_model(const GgufFile& file, const std::string& path);

}  // namespace quern
