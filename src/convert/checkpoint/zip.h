// The directory of a zip file whose entries are stored as they are, which is how PyTorch writes its .bin files.
// Source: PKWARE's APPNOTE, sections 4.3 (records) and 4.5.3 (zip64).
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace quern {

using ZipEntries = std::map<std::string, std::span<const std::byte>, std::less<>>;

/// @throws ModelError  "PATH: ..." when it is cut off, a length lies, two entries overlap, or an entry is compressed or encrypted
ZipEntries read_zip(std::span<const std::byte> file, std::string_view path);

}  // namespace quern
