// The patterns are facts of the published tokenizers (their tokenizer.json or source). `\s` in them is rewritten by pre_tokenizer.cpp.
#include "text/tokenizer/pre_tokenizer_families.h"

#include <algorithm>
#include <iterator>

namespace quern {
namespace {

#define GPT2_PATTERN R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"
#define CONTRACTIONS R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define SPACES R"(|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"

constexpr std::string_view gpt2[] = {GPT2_PATTERN};
// Every digit alone, then GPT-2's words.
constexpr std::string_view digits_gpt2[] = {R"(\p{N})", GPT2_PATTERN};
constexpr std::string_view llama3[] = {CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)" SPACES};
constexpr std::string_view qwen2[] = {CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)" SPACES};
constexpr std::string_view gpt4o[] = {R"([^\r\n\p{L}\p{N}]?)" UPPER "*" LOWER "+" CONTRACTIONS R"(?|[^\r\n\p{L}\p{N}]?)" UPPER "+" LOWER
                                      "*" CONTRACTIONS R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" SPACES};
constexpr std::string_view tekken[] = {R"([^\r\n\p{L}\p{N}]?)" UPPER "*" LOWER R"(+|[^\r\n\p{L}\p{N}]?)" UPPER "+" LOWER
                                       R"(*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" SPACES};
constexpr std::string_view falcon[] = {R"([\p{P}\$\+<=>\^~\|`]+)", GPT2_PATTERN};
// Falcon's last two steps see bytes in GPT-2's spelling, where the bytes B2, B3, B9 and BC to BE look like the numbers U+00B2 and so on.
constexpr std::string_view falcon_bytes[] = {R"([0-9\xB2\xB3\xB9\xBC-\xBE]+)", "[0-9][0-9][0-9]"};
constexpr std::string_view bloom[] = {R"( ?[^(\s|.,!?…。，、।۔،)]+)"};
constexpr std::string_view viking[] = {R"( ?[^(\s|.,!?…。，、।۔،)]+)", R"(\p{N})"};
constexpr std::string_view deepseek_llm[] = {
    R"([\r\n])",
    R"(\s?[)"
    R"(\x{41}-\x{5A}\x{61}-\x{7A}\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1})"
    R"(\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5})"
    R"(\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A})"
    R"(\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D})"
    R"(\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3})"
    R"(\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115})"
    R"(\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F})"
    R"(\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3})"
    R"(\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF})"
    R"(\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3})"
    R"(\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943})"
    R"(]+)",
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)",
    R"((?<!\s)\s+$)",  // `\s+$` in the original; looking back spares a run of spaces from being tried at each of its places
    R"([\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+)",
    R"(\p{N})",
};
constexpr std::string_view deepseek_coder[] = {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
                                               R"([\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+)", R"(\p{N})"};
constexpr std::string_view deepseek_v3[] = {
    R"(\p{N}{1,3})",
    R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)",
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*)" SPACES,
};

// Kimi K2: Chinese characters are words of their own kind; the lookaheads stand for Rust's class intersection `&&[^\p{Han}]`.
#define NOT_HAN R"((?!\p{Han}))"
#define KIMI_UPPER "(?:" NOT_HAN UPPER ")"
#define KIMI_LOWER "(?:" NOT_HAN LOWER ")"
constexpr std::string_view kimi_k2[] = {R"(\p{Han}+|[^\r\n\p{L}\p{N}]?)" KIMI_UPPER "*" KIMI_LOWER "+" CONTRACTIONS
                                        R"(?|[^\r\n\p{L}\p{N}]?)" KIMI_UPPER "+" KIMI_LOWER "*" CONTRACTIONS
                                        R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)" SPACES};
constexpr std::string_view seed_coder[] = {CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+)" SPACES};
constexpr std::string_view bailing[] = {CONTRACTIONS
                                        R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"};

constexpr PreTokenizerFamily families[] = {
    {"", gpt2},
    {"default", gpt2},
    {"gpt-2", gpt2},
    {"phi-2", gpt2},
    {"jina-es", gpt2},
    {"jina-de", gpt2},
    {"jina-v1-en", gpt2},
    {"jina-v2-es", gpt2},
    {"jina-v2-de", gpt2},
    {"jina-v2-code", gpt2},
    {"roberta-bpe", gpt2},
    {"mpt", gpt2},
    {"olmo", gpt2},
    {"jais", gpt2},
    {"trillion", gpt2},
    {"granite-docling", gpt2},
    {"gigachat", gpt2},
    {"a.x-4.0", gpt2},
    {"mellum", gpt2},
    {"exaone4", gpt2},
    {"gpt-neox", gpt2},
    {"bloom", bloom},
    {"poro-chat", bloom},
    {"gpt3-finnish", bloom},
    {"viking", viking},
    {"smollm", digits_gpt2},
    {"starcoder", digits_gpt2},
    {"refact", digits_gpt2},
    {"command-r", digits_gpt2},
    {"codeshell", digits_gpt2},
    {"exaone", digits_gpt2},
    {"minerva-7b", digits_gpt2},
    {.name = "llama3", .patterns = llama3, .takes_whole_words = true, .adds_bos = true},
    {.name = "llama-v3", .patterns = llama3, .takes_whole_words = true, .adds_bos = true},
    {.name = "llama-bpe", .patterns = llama3, .takes_whole_words = true, .adds_bos = true},
    {.name = "falcon3", .patterns = llama3, .takes_whole_words = true, .adds_bos = true},
    {.name = "falcon-h1", .patterns = llama3, .takes_whole_words = true, .adds_bos = true},
    {.name = "pixtral", .patterns = llama3, .takes_whole_words = true, .adds_bos = true},
    {.name = "midm-2.0", .patterns = llama3, .takes_whole_words = true, .adds_bos = true},
    {.name = "lfm2", .patterns = llama3, .takes_whole_words = true, .adds_bos = true},
    {"dbrx", llama3},
    {"smaug-bpe", llama3},
    {"chatglm-bpe", llama3},
    {"glm4", llama3},
    {"qwen2", qwen2},
    {"qwen", qwen2},
    {"deepseek-r1-qwen", qwen2},
    {"stablelm2", qwen2},
    {"hunyuan", qwen2},
    {"megrez", qwen2},
    {"gpt-4o", gpt4o},
    {"llama4", gpt4o},
    {.name = "tekken", .patterns = tekken, .takes_whole_words = true, .adds_bos = true},
    {.name = "falcon", .patterns = falcon, .byte_patterns = falcon_bytes},
    {"deepseek-llm", deepseek_llm},
    {"deepseek-coder", deepseek_coder},
    {"deepseek-v3", deepseek_v3},
    {"hunyuan-dense", deepseek_v3},
    {"kimi-k2", kimi_k2},
    {"seed-coder", seed_coder},
    {"bailingmoe", bailing},
    {"llada-moe", bailing},
};

}  // namespace

const PreTokenizerFamily* find_pre_tokenizer_family(std::string_view name) {
    const auto* found =
        std::find_if(std::begin(families), std::end(families), [&](const PreTokenizerFamily& family) { return family.name == name; });
    return found == std::end(families) ? nullptr : found;
}

const PreTokenizerFamily& common_pre_tokenizer_family() { return *find_pre_tokenizer_family("llama-bpe"); }

}  // namespace quern
