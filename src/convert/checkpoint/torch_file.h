// Reads PyTorch's .bin and .pth files (since version 1.6): a zip file with a pickle and one entry for each storage.
#pragma once

#include "convert/checkpoint/source_tensor.h"

namespace quern {

/// @throws ModelError  "PATH: tensor NAME ..." when a tensor is not dense or reaches beyond its storage; for the older format, which is
/// refused; and what read_zip() and read_pickle() throw
std::vector<SourceTensor> read_torch_file(std::span<const std::byte> file, std::string_view path);

}  // namespace quern
