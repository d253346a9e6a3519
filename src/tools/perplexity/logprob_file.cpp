#include "tools/perplexity/logprob_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>

#include "base/error.h"
#include "sampling/logprobs.h"

namespace quern {
namespace {

static_assert(std::endian::native == std::endian::little);
static_assert(sizeof(TokenId) == sizeof(int32_t));

constexpr std::string_view magic = "_logits_";
constexpr size_t header_bytes = magic.size() + 3 * sizeof(int32_t);
constexpr float range = 16;  // nats below the likeliest token that the codes reach

}  // namespace

uint64_t LogprobFileHeader::file_bytes() const noexcept {
    const auto chunks = static_cast<uint64_t>(n_chunks);
    return header_bytes + chunks * static_cast<uint64_t>(n_ctx) * sizeof(int32_t) +
           chunks * static_cast<uint64_t>(rows_per_chunk() * row_codes()) * sizeof(uint16_t);
}

LogprobWriter::LogprobWriter(const std::string& path, const LogprobFileHeader& header, std::span<const TokenId> tokens) : file_(path) {
    file_.reserve(header.file_bytes());
    file_.write(magic);
    const int32_t sizes[] = {header.n_ctx, header.n_vocab, header.n_chunks};
    file_.write(std::as_bytes(std::span(sizes)));
    file_.write(std::as_bytes(tokens));
}

void LogprobWriter::encode(std::span<const float> logits, std::span<uint16_t> row) {
    const auto [lowest, highest] = std::minmax_element(logits.begin(), logits.end());
    const float least = std::max(*lowest, *highest - range);
    const float scale = (*highest - least) / 65535.0f;
    const auto least_logprob = static_cast<float>(static_cast<double>(least) - log_sum_exp(logits));
    std::memcpy(row.data(), &scale, sizeof scale);
    std::memcpy(row.data() + 2, &least_logprob, sizeof least_logprob);
    const float inverse = scale > 0 ? 1 / scale : 0.0f;
    const float rounding = scale > 0 ? 0.5f : 65535.0f;  // all alike: none of them is the least
    for (size_t i = 0; i < logits.size(); ++i)
        row[4 + i] = static_cast<uint16_t>(std::clamp((logits[i] - least) * inverse + rounding, 0.0f, 65535.0f));
    std::fill(row.begin() + 4 + static_cast<std::ptrdiff_t>(logits.size()), row.end(), uint16_t{0});
}

void LogprobWriter::write(std::span<const uint16_t> rows) { file_.write(std::as_bytes(rows)); }

LogprobFile::LogprobFile(const std::string& path) : file_(path) {
    const std::span<const std::byte> bytes = file_.bytes();
    if (bytes.size() < header_bytes || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0)
        throw ModelError(concat(path, ": not a file of base distributions: it does not begin with ", magic));
    int32_t sizes[3];
    std::memcpy(sizes, bytes.data() + magic.size(), sizeof sizes);
    header_ = {.n_ctx = sizes[0], .n_vocab = sizes[1], .n_chunks = sizes[2]};
    constexpr int32_t most = 1 << 24;  // of each, so that no product below overflows
    if (header_.n_ctx < 4 || header_.n_ctx > most || header_.n_vocab < 1 || header_.n_vocab > most || header_.n_chunks < 1 ||
        header_.n_chunks > most || header_.file_bytes() != bytes.size())
        throw ModelError(concat(path, ": its header tells of ", header_.n_chunks, " windows of ", header_.n_ctx,
                                " tokens over a vocabulary of ", header_.n_vocab, ", which does not fit its ", bytes.size(), " bytes"));
    tokens_.resize(static_cast<size_t>(header_.n_chunks) * static_cast<size_t>(header_.n_ctx));
    std::memcpy(tokens_.data(), bytes.data() + header_bytes, tokens_.size() * sizeof(int32_t));
    for (const TokenId token : tokens_)
        if (token.value < 0 || token.value >= header_.n_vocab)
            throw ModelError(concat(path, ": token ", token.value, " is outside its vocabulary of ", header_.n_vocab));
}

float LogprobFile::decode(int64_t chunk, int64_t row, std::span<float> logprobs) const {
    const auto at = static_cast<uint64_t>((chunk * header_.rows_per_chunk() + row) * header_.row_codes()) * sizeof(uint16_t);
    const std::byte* codes = file_.bytes().data() + header_bytes + tokens_.size() * sizeof(int32_t) + at;
    float scale, least;
    std::memcpy(&scale, codes, sizeof scale);
    std::memcpy(&least, codes + sizeof scale, sizeof least);
    for (size_t i = 0; i < logprobs.size(); ++i) {
        uint16_t code;
        std::memcpy(&code, codes + 8 + 2 * i, sizeof code);
        logprobs[i] = code > 0 ? least + scale * static_cast<float>(code) : -std::numeric_limits<float>::infinity();
    }
    return least;
}

}  // namespace quern
