// A folder as Hugging Face's save_pretrained() writes it: config.json and the weights, in one file or several with an index.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "convert/checkpoint/source_tensor.h"
#include "models/checkpoint_config.h"

namespace quern {

/// An opened folder. Immutable: any thread.
class Checkpoint {
  public:
    /// @throws ModelError  naming the file, and the tensor where there is one
    /// Cost: maps the files and parses their headers; no weights are read.
    static std::unique_ptr<const Checkpoint> open(const std::string& folder, bool with_weights = true);

    const std::string& folder() const noexcept { return folder_; }
    const CheckpointConfig& config() const noexcept { return config_; }
    /// nullptr if there is none.
    const SourceTensor* find(std::string_view name) const;
    const std::map<std::string, SourceTensor, std::less<>>& tensors() const noexcept { return tensors_; }
    /// The file that a tensor is in, for messages.
    const std::string& file_of(const SourceTensor& tensor) const;
    /// The tensor will not be read again soon: its memory may be taken back.
    void release(const SourceTensor& tensor) const noexcept;

  private:
    explicit Checkpoint(CheckpointConfig config) : config_(std::move(config)) {}
    void open_weights();
    void open_index(const std::string& index);
    void add_file(const std::string& name);
    const MappedFile* mapping_of(const SourceTensor& tensor) const noexcept;

    std::string folder_;
    CheckpointConfig config_;
    std::vector<MappedFile> files_;
    std::map<std::string, SourceTensor, std::less<>> tensors_;
};

}  // namespace quern
