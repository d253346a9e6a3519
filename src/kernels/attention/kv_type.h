// How keys and values are kept in the cache.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace quern {

/// f32: exact; f16: what models are usually run with; q8_0, q4_0: blocks of 32 values, as in model files.
enum class KvType : uint8_t { f16, f32, q8_0, q4_0 };

struct KvTypeTraits {
    const char* name;
    int64_t block_values, block_bytes;
    int ggml_type;  ///< number of the format in GGUF files and in llama-cpp-python's type_k
};

constexpr KvTypeTraits traits(KvType type) {
    switch (type) {
        case KvType::f32:
            return {"f32", 1, 4, 0};
        case KvType::q8_0:
            return {"q8_0", 32, 34, 8};
        case KvType::q4_0:
            return {"q4_0", 32, 18, 2};
        default:
            return {"f16", 1, 2, 1};
    }
}

/// Bytes of `n` values. REQUIRES: n is a multiple of the type's block.
constexpr int64_t kv_bytes(KvType type, int64_t n) { return n / traits(type).block_values * traits(type).block_bytes; }

constexpr std::optional<KvType> kv_type_named(std::string_view name) {
    for (const KvType type : {KvType::f16, KvType::f32, KvType::q8_0, KvType::q4_0})
        if (name == traits(type).name) return type;
    return std::nullopt;
}

constexpr std::optional<KvType> kv_type_numbered(int64_t ggml_type) {
    for (const KvType type : {KvType::f16, KvType::f32, KvType::q8_0, KvType::q4_0})
        if (ggml_type == traits(type).ggml_type) return type;
    return std::nullopt;
}

}  // namespace quern
