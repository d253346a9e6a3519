// Reads GGUF v2 and v3 files, whole or split (`-00001-of-0000N.gguf`). Every length is checked against the bytes that are left.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "gguf/metadata.h"
#include "gguf/metadata_override.h"
#include "tensor/tensor_view.h"

namespace quern {

/// A named tensor; the view points into the mapping.
struct GgufTensor {
    std::string_view name;
    TensorView view;
    uint32_t part = 0;    ///< which file of a split, from 0
    uint64_t offset = 0;  ///< where its data begin, in bytes from the start of that file
};

struct GgufHeader;

/// An opened model file. Any thread, once its keys are as they should be.
class GgufFile {
  public:
    /// Opens the file, and the other parts if it is the first of a split.
    /// @throws ModelError  "FILE: what, at byte N" for anything malformed
    /// Cost: maps the file and parses the header; no tensor data is read.
    static std::unique_ptr<GgufFile> open(const std::string& path);

    /// A file that is still to be written: for what reads keys and shapes only, as all data is missing (nullptr).
    /// @param header  of GgufWriter::header(), without tensors  @param tensors  their names must outlive the result and be unique
    static std::unique_ptr<const GgufFile> describe(const std::string& path, std::string header, std::vector<GgufTensor> tensors);

    /// From now on the key has that value. A new key is warned of: it may be misspelt.
    /// @throws InvalidInput  when the file's value is of another kind, or the key says how the file is laid out
    void override_key(const MetadataOverride& override);
    /// The same without a check or a word.
    void set_key(const MetadataOverride& override);

    const std::string& path() const noexcept { return path_; }
    uint32_t version() const noexcept { return version_; }
    const Metadata& metadata() const noexcept { return metadata_; }
    std::span<const GgufTensor> tensors() const noexcept { return tensors_; }
    /// nullptr if there is none.
    const GgufTensor* find_tensor(std::string_view name) const;
    /// Bytes of all parts.
    uint64_t file_bytes() const noexcept;
    /// What has become of a part since it was opened, see MappedFile::damage(). Any thread.
    std::string damage() const;
    /// Asks the system to keep all of it in memory; a warning when it does not.
    void lock_in_memory() const;
    size_t n_parts() const noexcept { return parts_.size(); }
    std::vector<std::string> part_paths() const;

  private:
    GgufFile() = default;
    void add_part(GgufHeader header);
    void open_other_parts();

    std::string path_;
    std::unique_ptr<const std::string> described_;
    std::deque<std::string> overrides_;  // texts that metadata_ has views of
    std::vector<MappedFile> parts_;
    uint32_t version_ = 3;
    Metadata metadata_;
    std::vector<GgufTensor> tensors_;
    std::map<std::string_view, size_t> index_;
};

}  // namespace quern
