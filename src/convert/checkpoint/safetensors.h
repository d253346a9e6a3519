// Reads .safetensors: a u64 length, that many bytes of JSON {name: {dtype, shape, data_offsets: [begin, end]}}, then the data.
// Source: the safetensors format description.
#pragma once

#include "convert/checkpoint/source_tensor.h"

namespace quern {

/// @throws ModelError  "PATH: tensor NAME ..." when an offset, size or type does not fit the others or the file, or two tensors overlap
std::vector<SourceTensor> read_safetensors(std::span<const std::byte> file, std::string_view path);

}  // namespace quern
