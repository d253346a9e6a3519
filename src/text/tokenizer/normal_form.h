// Unicode's normal forms, as tokenizers ask for them. Source: Unicode Standard Annex 15.
#pragma once

#include <string>
#include <string_view>

namespace quern {

/// Composed (NFC). Bytes that are no UTF-8 stay as they are, and what stands between them is normalized on its own.
std::string to_nfc(std::string_view text);

}  // namespace quern
