// The two kinds of kernels between which a batch's purpose chooses.
#pragma once

#include <cstdint>

namespace quern {

/// Kernels for a few tokens or for many. Each kind gives a token the same bits whatever else is in its batch and however large that is; the
/// two differ in their last bits. So a token's results depend on which of the two computed it, and on nothing else.
enum class TokenKernels : uint8_t { few, many };

}  // namespace quern
