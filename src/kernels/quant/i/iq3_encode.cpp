// IQ3_S and IQ3_XXS: block_fit.h's search over their code books of 4 magnitudes.
#include "kernels/quant/i/block_fit.h"
#include "kernels/quant/i/encoders.h"
#include "kernels/quant/i/iq3_s.h"
#include "kernels/quant/i/iq3_xxs.h"
#include "kernels/quant/i/signed_fit.h"

namespace quern {
namespace {

struct Iq3SBook {
    static constexpr int dims = 4;
    static constexpr bool even_signs = false;
    static const auto& book() {
        static const Codebook<4, 8, 512, 10> book({.value = [](int e, int j) { return static_cast<float>(iq3_s_grid[e] >> 8 * j & 0xff); },
                                                   .level = [](int l) { return static_cast<float>(2 * l + 1); }});
        return book;
    }
    static int level(float t) { return static_cast<int>(within(t * 0.5f, 0.0f, 7.0f)); }
};

struct Iq3XxsBook {
    static constexpr int dims = 4;
    static constexpr bool even_signs = true;
    static const auto& book() {
        static const Codebook<4, 8, 256, 10> book(
            {.value = [](int e, int j) { return static_cast<float>(iq3_xxs_grid[e] >> 8 * j & 0xff); },
             .level = [](int l) { return static_cast<float>(l < 7 ? 8 * l + 4 : 62); }});
        return book;
    }
    static int level(float t) { return static_cast<int>(within(t * 0.125f, 0.0f, 7.0f)); }
};

struct Iq3SFit : SignedFit<Iq3SBook, 32> {
    static constexpr float unit = 1.0f;
    static constexpr float guesses[] = {9.5f, 10.7f, 11.8f, 12.8f, 13.7f, 14.5f, 15.3f, 16.2f, 17.2f, 18.5f, 20.0f};
};

struct Iq3XxsFit : SignedFit<Iq3XxsBook, 32> {
    static constexpr float unit = 0.25f;
    static constexpr float guesses[] = {36.0f, 40.0f, 44.0f, 48.0f, 52.0f, 56.0f, 60.0f, 64.0f, 69.0f, 75.0f, 82.0f};
};

void encode_block(const float* x, const float* importance, IQ3_S::Block& out) {
    const auto fit = BlockFit<Iq3SFit>::run(x, importance);
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 8; ++g) {
        const auto& codes = fit.codes[g];
        out.scales[g / 2] = static_cast<uint8_t>(out.scales[g / 2] | fit.scale_codes[g] << g % 2 * 4);
        std::copy(codes.signs, codes.signs + 4, out.signs + 4 * g);
        for (int i = 0; i < 8; ++i) {
            out.qs[8 * g + i] = static_cast<uint8_t>(codes.entries[i]);
            out.qh[g] = static_cast<uint8_t>(out.qh[g] | (codes.entries[i] >> 8) << i);
        }
    }
}

void encode_block(const float* x, const float* importance, IQ3_XXS::Block& out) {
    const auto fit = BlockFit<Iq3XxsFit>::run(x, importance);
    out = {};
    out.d = fit.d;
    for (int g = 0; g < 8; ++g) {
        const auto& codes = fit.codes[g];
        for (int i = 0; i < 8; ++i) out.qs[8 * g + i] = static_cast<uint8_t>(codes.entries[i]);
        const uint32_t packed = pack_sevens(codes.signs) | static_cast<uint32_t>(fit.scale_codes[g]) << 28;
        std::memcpy(out.signs_and_scales + 4 * g, &packed, sizeof packed);
    }
}

template <typename Format>
void encode(const float* x, const float* importance, int64_t n, std::byte* out) {
    auto* block = reinterpret_cast<typename Format::Block*>(out);
    for (int64_t i = 0; i < n; i += 256) encode_block(x + i, importance != nullptr ? importance + i : nullptr, *block++);
}

}  // namespace

void encode_iq3_s(const float* x, const float* importance, int64_t n, std::byte* out) noexcept { encode<IQ3_S>(x, importance, n, out); }
void encode_iq3_xxs(const float* x, const float* importance, int64_t n, std::byte* out) noexcept { encode<IQ3_XXS>(x, importance, n, out); }

}  // namespace quern
