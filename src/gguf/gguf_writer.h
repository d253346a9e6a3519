// Writes GGUF v3 files: first keys and tensor descriptions are collected, then the data are streamed in the same order.
// Source: the GGUF specification, version 3.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/metadata.h"
#include "gguf/output_file.h"
#include "tensor/tensor_view.h"

namespace quern {

/// Use: set and add everything, open(), write() the data of every tensor in the order added, finish(). Not for concurrent use.
class GgufWriter {
  public:
    struct Tensor {
        std::string name;
        DType dtype = DType::f32;
        Shape shape;
        uint64_t bytes = 0;
    };

    /// Adds the key, or replaces its value and keeps its place. Copies the value. "general.alignment" also sets the alignment.
    /// @throws ModelError  when the key is empty, too long or no UTF-8, or the alignment is no u32 power of two of at least 8
    /// REQUIRES: open() was not called; an array's fields agree (see MetadataArray).
    void set(std::string_view key, const MetadataValue& value);
    void set_strings(std::string_view key, std::span<const std::string> values);
    void set_strings(std::string_view key, std::span<const std::string_view> values);
    void set_integers(std::string_view key, std::span<const int32_t> values);
    void set_reals(std::string_view key, std::span<const float> values);
    /// Every key of an opened file, except those of its split.
    void set_all(const Metadata& metadata);
    /// Does nothing if there is no such key.
    void remove(std::string_view key);

    /// Describes the next tensor.
    /// @throws ModelError  when the reader would refuse it: the name is taken, empty, too long or no UTF-8, or the shape does not suit the
    /// type
    void add_tensor(std::string_view name, DType dtype, const Shape& shape);
    std::span<const Tensor> tensors() const noexcept { return tensors_; }

    /// The bytes before the data of the first tensor, padding included.
    std::string header() const;
    /// Bytes of the whole file.
    uint64_t file_bytes() const;

    /// Creates a temporary file of the final size beside `path` and writes the header.
    /// @throws InvalidInput  when the folder does not exist
    /// @throws DeviceError   when the disk has no room for file_bytes()
    void open(const std::string& path);
    /// The next bytes of the data: of the current tensor only, all at once or in pieces. @throws DeviceError
    void write(std::span<const std::byte> bytes);
    /// Makes the file durable and gives it its name. REQUIRES: every tensor was written whole. @throws DeviceError
    void finish();

  private:
    struct Key {
        std::string name;
        std::string value;  ///< type and value as they stand in the file
    };

    void put(std::string_view key, std::string value);

    uint64_t alignment_ = 32;
    std::vector<Key> keys_;
    std::map<std::string, size_t, std::less<>> key_index_;
    std::vector<Tensor> tensors_;
    std::map<std::string, size_t, std::less<>> tensor_index_;
    uint64_t data_bytes_ = 0;  ///< of all tensors, without padding
    std::unique_ptr<OutputFile> file_;
    size_t current_ = 0;    ///< the tensor being written
    uint64_t written_ = 0;  ///< bytes of it
};

}  // namespace quern
