#include "kernels/quant/decode.h"

#include "kernels/quant/formats.h"

namespace quern {
namespace {

template <typename Format>
void decode_row(const std::byte* row, float* out, int64_t n) noexcept {
    const auto* block = reinterpret_cast<const typename Format::Block*>(row);
    for (int64_t i = 0; i < n; i += Format::block_values) Format::decode(*block++, out + i);
}

template <typename... Formats>
DecodeKernel find(DType dtype, FormatList<Formats...>) noexcept {
    DecodeKernel found = nullptr;
    ((Formats::dtype == dtype ? void(found = decode_row<Formats>) : void()), ...);
    return found;
}

}  // namespace

DecodeKernel decode_for(DType dtype) noexcept { return find(dtype, AllFormats{}); }

}  // namespace quern
