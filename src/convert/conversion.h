// A checkpoint's folder as a GGUF file to be written: everything but the weights is known and checked before any work begins.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "convert/checkpoint/checkpoint.h"
#include "convert/packed_experts.h"
#include "convert/quantize.h"
#include "convert/split_files.h"
#include "convert/vocabulary/converted_vocabulary.h"
#include "convert/vocabulary/tokenizer_json.h"
#include "models/checkpoint.h"

namespace quern {

struct ConvertOptions {
    std::string folder;
    std::optional<QuantizeType> type;  ///< nothing: 16 bits, F16 or BF16 as the checkpoint has it
    std::string vocabulary_kinds;      ///< see read_vocabulary()
    std::string vocabulary_folder;     ///< empty: the checkpoint's
    std::string model_name;            ///< empty: what the checkpoint or its folder is called
    std::string metadata_file;         ///< JSON of more keys, or empty
    std::optional<uint32_t> n_ctx;     ///< instead of the config's
    bool vocabulary_only = false;
    bool skip_unknown = false;  ///< tensors that the family has no place for are left out
    const Importance* importance = nullptr;
};

/// Holds the opened files until it is written.
class Conversion {
  public:
    /// @throws ModelError    naming file and tensor
    /// @throws InvalidInput  when a choice cannot be made
    Conversion(ConvertOptions options, const VocabularyWarning& warn);
    Conversion(const Conversion&) = delete;
    Conversion& operator=(const Conversion&) = delete;

    const std::vector<PlannedTensor>& plan() const noexcept { return plan_; }
    const QuantizeType& type() const noexcept { return type_; }
    const std::string& name() const noexcept { return name_; }
    std::string_view architecture() const noexcept { return family_.architecture; }
    size_t n_tokens() const noexcept { return vocabulary_.n_tokens(); }

    /// Writes one file, or parts within the limits, and returns their paths.
    /// @throws ModelError, DeviceError  and then the file being written does not remain
    std::vector<std::string> write(const std::string& path, const SplitLimits& limits, ThreadPool& pool,
                                   const QuantizeProgress& progress) const;

  private:
    void choose_type();
    void set_model_keys();
    void set_general_keys();
    void list_tensors();
    void resolve(const ConvertedTensor& wanted);
    bool resolve_packed(const ConvertedTensor& wanted);
    void check_leftovers() const;
    bool is_tied() const;  ///< the embeddings are the output matrix, too
    const SourceTensor* find_source(const std::string& name) const;
    void read_tokens(const VocabularyWarning& warn);
    void make_plan();
    QuantizeProgress releasing(const QuantizeProgress& progress) const;
    [[noreturn]] void fail(std::string_view what) const;

    ConvertOptions options_;
    std::unique_ptr<const Checkpoint> checkpoint_;
    CheckpointFamily family_;
    QuantizeType type_;
    std::string name_;
    GgufWriter keys_;
    ConvertedVocabulary vocabulary_;
    CheckpointTensors wanted_;
    struct Resolved {
        const ConvertedTensor* wanted;
        std::vector<const SourceTensor*> sources;  ///< one, or one for each stacked matrix
        std::vector<TensorView> views;
        DType dtype;  ///< before quantizing
        std::optional<PackedExperts> packed;
    };
    std::vector<Resolved> resolved_;
    std::unique_ptr<const GgufFile> description_;
    std::vector<PlannedTensor> plan_;
};

}  // namespace quern
