// A LoRA adapter file in the form that llama.cpp's tools write: pairs NAME.lora_a [rank, n_in] and NAME.lora_b [n_out, rank] for weights
// NAME of a base model, and what the product of each pair is multiplied with: adapter.lora.alpha / rank.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gguf/gguf_file.h"
#include "graph/graph.h"
#include "tensor/buffer.h"

namespace quern {

/// One weight's pair, as it stands in the file and already held against the base's weight.
struct AdapterPair {
    std::string name;  ///< of the base's weight
    TensorView base;
    TensorView a, b;  ///< of a table of embeddings, a is [n_vocab, rank] and b [n_embd, rank]
    bool is_table = false;
    float factor = 1;

    int64_t rank() const { return b.shape.n_cols(); }
    int64_t n_experts() const { return base.shape.rank() == 3 ? base.shape[0] : 1; }
};

/// An opened adapter file.
class AdapterFile {
  public:
    /// @param base  must outlive this. A part of it that is quantized already may be adapted as well
    /// @throws ModelError  when it is no LoRA adapter, or none for this base: names the tensor
    AdapterFile(const std::string& path, const GgufFile& base);

    const std::string& path() const noexcept { return path_; }
    std::span<const AdapterPair> pairs() const noexcept { return pairs_; }
    /// What has become of the file since it was opened, see GgufFile::damage().
    std::string damage() const { return file_->damage(); }

  private:
    void check_keys(const GgufFile& base) const;
    void add_pair(const GgufTensor& a, const GgufTensor& b, const GgufFile& base);
    void check_shapes(const AdapterPair& pair) const;
    [[noreturn]] void fail(const std::string& what) const;

    std::string path_;
    std::unique_ptr<const GgufFile> file_;
    std::vector<AdapterPair> pairs_;
};

/// Row `row` of a or b, decoded. @throws ModelError  naming file and tensor, when a value is not finite
void read_factor_row(const AdapterFile& file, const AdapterPair& pair, const TensorView& factor, int64_t row, float* out);

/// An adapter ready to be applied: its factors as f32.
class Adapter {
  public:
    /// Whether the factors are read, or only their shapes: enough to plan a graph with it, not to run one.
    enum class Reading : uint8_t { whole, shapes };
    /// Cost: reads the whole file, or its header. @throws ModelError, DeviceError
    Adapter(const std::string& path, const GgufFile& base, Reading reading = Reading::whole);

    /// Whether each of its products must find its weight: a graph that ends early has no output matrix.
    enum class Reach : uint8_t { all, as_far_as_it_goes };
    /// Puts the products beside the weights. This must outlive the graph's use.
    /// @param index  the adapter's place in Batch::adapter_scales
    /// @throws ModelError  when quern does not use the weight in a way that can be adapted
    void apply(Graph& graph, int index, Reach reach = Reach::all) const;

    const std::string& path() const noexcept { return file_.path(); }
    std::span<const AdapterPair> pairs() const noexcept { return file_.pairs(); }
    /// By pair.
    std::span<const AdapterFactors> factors() const noexcept { return factors_; }
    uint64_t bytes() const noexcept { return memory_.bytes(); }

  private:
    void read_factors(const AdapterPair& pair, float* a, float* b) const;

    AdapterFile file_;
    std::vector<AdapterFactors> factors_;  // by pair
    Buffer memory_;
};

}  // namespace quern
