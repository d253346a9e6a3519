// The distributions of a base model over a text, kept in a file to hold other models against. The format is that of llama.cpp's
// `perplexity --kl-divergence-base`: "_logits_", then int32 n_ctx, n_vocab and n_chunks, int32 tokens [n_chunks, n_ctx], and for each chunk
// n_ctx - 1 - n_ctx / 2 rows of u16: f32 scale, f32 least log probability, and a code for each token of the vocabulary (padded to even).
// log p = least + scale * code; a code of 0 stands for anything from there down. Little-endian.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "gguf/output_file.h"
#include "text/token.h"

namespace quern {

struct LogprobFileHeader {
    int32_t n_ctx = 0, n_vocab = 0, n_chunks = 0;

    int64_t rows_per_chunk() const noexcept { return n_ctx - 1 - n_ctx / 2; }
    /// In u16.
    int64_t row_codes() const noexcept { return 2 * ((int64_t{n_vocab} + 1) / 2) + 4; }
    uint64_t file_bytes() const noexcept;
};

class LogprobWriter {
  public:
    /// @param tokens  [n_chunks, n_ctx]  @throws InvalidInput, DeviceError (no room on the disk)
    LogprobWriter(const std::string& path, const LogprobFileHeader& header, std::span<const TokenId> tokens);

    /// Codes of one row, [row_codes]. @param logits  [n_vocab], finite. Safe from any thread.
    static void encode(std::span<const float> logits, std::span<uint16_t> row);
    /// Rows in the order of the text. @throws DeviceError
    void write(std::span<const uint16_t> rows);
    /// The file appears under its name. REQUIRES: all rows were written. @throws DeviceError
    void commit() { file_.commit(); }

  private:
    OutputFile file_;
};

class LogprobFile {
  public:
    /// @throws ModelError  when the file is missing, is none of this kind, or is shorter or longer than its header says
    explicit LogprobFile(const std::string& path);

    const LogprobFileHeader& header() const noexcept { return header_; }
    /// [n_chunks, n_ctx], all within the vocabulary.
    std::span<const TokenId> tokens() const noexcept { return tokens_; }
    /// Log probabilities [n_vocab] of one row; -infinity for what the file tells no more of than that it is at most the value returned.
    /// Safe from any thread.
    float decode(int64_t chunk, int64_t row, std::span<float> logprobs) const;

  private:
    MappedFile file_;
    LogprobFileHeader header_;
    std::vector<TokenId> tokens_;
};

}  // namespace quern
