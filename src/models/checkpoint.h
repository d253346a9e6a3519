// What a family says of the checkpoints that it is published in: which classes of Hugging Face's transformers it is, how their config.json
// becomes GGUF keys, and which of their tensors becomes which of GGUF's. The converter does the rest. See docs/howto/add_a_family.md.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf/gguf_file.h"
#include "gguf/gguf_writer.h"
#include "models/checkpoint_config.h"
#include "models/transform.h"
#include "models/weights.h"

namespace quern {

/// Sets GGUF keys from entries of config.json; keys are given without the architecture before them.
struct CheckpointKeys {
    const CheckpointConfig& config;
    GgufWriter& writer;
    std::string architecture;

    /// As u32, if one of the names is there. @throws ModelError when the value is negative or above 2^32
    void integer(std::string_view key, CheckpointConfig::Names names) const;
    void require_integer(std::string_view key, CheckpointConfig::Names names) const;
    /// As f32, if one of the names is there.
    void real(std::string_view key, CheckpointConfig::Names names) const;
    void set(std::string_view key, const MetadataValue& value) const;
    std::string full(std::string_view key) const { return concat_key(architecture, key); }

  private:
    static std::string concat_key(std::string_view architecture, std::string_view key);
};

/// One tensor of the GGUF file and where it comes from.
struct ConvertedTensor {
    std::string gguf;
    /// In the checkpoint. "{}" stands for 0, 1, ... of the outermost size: those tensors are stacked.
    std::string hf;
    Shape shape;  ///< in GGUF
    Presence presence = Presence::required;
    Transform transform;
    std::vector<float> values;  ///< computed from config.json instead, and f32 always; then `hf` is empty
};

/// Collects the tensors of a model in the order of the file.
class CheckpointTensors {
  public:
    void add(ConvertedTensor tensor) { tensors_.push_back(std::move(tensor)); }
    std::span<const ConvertedTensor> all() const noexcept { return tensors_; }

  private:
    std::vector<ConvertedTensor> tensors_;
};

struct CheckpointFormat {
    /// `architectures` in config.json.
    std::span<const std::string_view> classes;
    /// The table of embeddings; its first size is the vocabulary's.
    std::string_view embedding = "model.embed_tokens.weight";
    void (*set_keys)(const CheckpointKeys& keys) = nullptr;
    /// @param keys  a file that has the keys set before and token_embd.weight, with no data: for the reader of hyper-parameters
    void (*list_tensors)(const GgufFile& keys, const CheckpointConfig& config, CheckpointTensors& tensors) = nullptr;
    /// Beginnings of names of which any one may stand before the checkpoint's names, or be missing there.
    std::span<const std::string_view> optional_prefixes = {};
    /// Ends of names, and what stood in their place in older checkpoints.
    std::span<const std::pair<std::string_view, std::string_view>> old_ends = {};
    /// Parts of the names of tensors that a checkpoint may hold and GGUF does not.
    std::span<const std::string_view> ignored = {};
};

/// The family of a checkpoint.
struct CheckpointFamily {
    std::string_view architecture;  ///< general.architecture
    const CheckpointFormat* format = nullptr;
};
/// By the config's `architectures`. @throws ModelError when it is unknown: lists the known ones and what was seen
CheckpointFamily find_checkpoint_family(const CheckpointConfig& config);
/// By general.architecture; nullptr when its checkpoints cannot be converted.
const CheckpointFormat* checkpoint_format_of(std::string_view architecture);
/// All classes that the converter knows, joined.
std::string known_checkpoint_classes();

}  // namespace quern
