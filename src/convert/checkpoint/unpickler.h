// Reads the pickles that torch.save() writes, and nothing else: a total interpreter of the opcodes that describe tensors. No code of the
// file's choice ever runs; a name outside a short list is refused. Source: Python's pickletools (opcodes), torch.save's published layout.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// A tensor as the pickle describes it: a window into a storage.
struct PickledTensor {
    std::string name;
    std::string storage_type;  ///< "HalfStorage"
    std::string storage_key;   ///< the entry data/KEY of the zip file
    int64_t offset = 0;        ///< in values
    std::vector<int64_t> sizes, strides;
};

/// The tensors of the dictionary that the pickle holds, or of that dictionary's `state_dict` or `model`.
/// @throws ModelError  "PATH: ..." for anything else: names what the pickle asks for
/// Cost: linear in the pickle; memory at most a multiple of its size.
std::vector<PickledTensor> read_pickle(std::span<const std::byte> pickle, std::string_view path);

}  // namespace quern
