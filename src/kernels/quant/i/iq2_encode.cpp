// IQ2_S, IQ2_XS and IQ2_XXS: block_fit.h's search over their code books of 8 magnitudes.
#include "kernels/quant/i/block_fit.h"
#include "kernels/quant/i/encoders.h"
#include "kernels/quant/i/iq2_s.h"
#include "kernels/quant/i/iq2_xs.h"
#include "kernels/quant/i/iq2_xxs.h"
#include "kernels/quant/i/signed_fit.h"

namespace quern {
namespace {

template <const auto& grid, int n_entries, bool even>
struct Iq2Book {
    static constexpr int dims = 8;
    static constexpr bool even_signs = even;
    static const auto& book() {
        static const Codebook<8, 3, n_entries, 12> book({.value = [](int e, int j) { return static_cast<float>(grid[e] >> 8 * j & 0xff); },
                                                         .level = [](int l) { return l == 0   ? 8.0f
                                                                                     : l == 1 ? 25.0f
                                                                                              : 43.0f; }});
        return book;
    }
    static int level(float t) { return (t > 16.5f) + (t > 34.0f); }
};

template <typename Book, int group_values>
struct Iq2Fit : SignedFit<Book, group_values> {
    static constexpr float unit = 0.125f;
    static constexpr float guesses[] = {29.0f, 33.0f, 37.0f, 41.0f, 45.0f, 49.0f, 54.0f, 60.0f, 67.0f, 75.0f, 86.0f};
};

using Iq2SFit = Iq2Fit<Iq2Book<iq2_s_grid, 1024, false>, 16>;
using Iq2XsFit = Iq2Fit<Iq2Book<iq2_xs_grid, 512, true>, 16>;
using Iq2XxsFit = Iq2Fit<Iq2Book<iq2_xxs_grid, 256, true>, 32>;

void encode_block(const float* x, const float* importance, IQ2_S::Block& out) {
    const auto fit = BlockFit<Iq2SFit>::run(x, importance);
    out = {};
    out.d = fit.d;
    for (int i = 0; i < 32; ++i) {
        const int entry = fit.codes[i / 2].entries[i % 2];
        out.qs[i] = static_cast<uint8_t>(entry);
        out.qh[i / 4] = static_cast<uint8_t>(out.qh[i / 4] | (entry >> 8) << i % 4 * 2);
        out.signs[i] = fit.codes[i / 2].signs[i % 2];
    }
    for (int g = 0; g < 16; ++g) out.scales[g / 2] = static_cast<uint8_t>(out.scales[g / 2] | fit.scale_codes[g] << g % 2 * 4);
}

void encode_block(const float* x, const float* importance, IQ2_XS::Block& out) {
    const auto fit = BlockFit<Iq2XsFit>::run(x, importance);
    out = {};
    out.d = fit.d;
    for (int i = 0; i < 32; ++i) {
        const auto& codes = fit.codes[i / 2];
        out.qs[i] = static_cast<uint16_t>(codes.entries[i % 2] | (codes.signs[i % 2] & 0x7f) << 9);
    }
    for (int g = 0; g < 16; ++g) out.scales[g / 2] = static_cast<uint8_t>(out.scales[g / 2] | fit.scale_codes[g] << g % 2 * 4);
}

void encode_block(const float* x, const float* importance, IQ2_XXS::Block& out) {
    const auto fit = BlockFit<Iq2XxsFit>::run(x, importance);
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 8; ++g) {
        const auto& codes = fit.codes[g];
        for (int i = 0; i < 4; ++i) out.qs[8 * g + i] = static_cast<uint8_t>(codes.entries[i]);
        const uint32_t packed = pack_sevens(codes.signs) | static_cast<uint32_t>(fit.scale_codes[g]) << 28;
        std::memcpy(out.qs + 8 * g + 4, &packed, sizeof packed);
    }
}

template <typename Format>
void encode(const float* x, const float* importance, int64_t n, std::byte* out) {
    auto* block = reinterpret_cast<typename Format::Block*>(out);
    for (int64_t i = 0; i < n; i += 256) encode_block(x + i, importance != nullptr ? importance + i : nullptr, *block++);
}

}  // namespace

void encode_iq2_s(const float* x, const float* importance, int64_t n, std::byte* out) noexcept { encode<IQ2_S>(x, importance, n, out); }
void encode_iq2_xs(const float* x, const float* importance, int64_t n, std::byte* out) noexcept { encode<IQ2_XS>(x, importance, n, out); }
void encode_iq2_xxs(const float* x, const float* importance, int64_t n, std::byte* out) noexcept { encode<IQ2_XXS>(x, importance, n, out); }

}  // namespace quern
