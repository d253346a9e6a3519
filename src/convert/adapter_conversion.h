// A LoRA adapter as PEFT saves it (adapter_config.json, adapter_model.safetensors or .bin) as a GGUF adapter: the same names, the same
// order of rows as the converter gives the base's weights. See models/adapter.h for the form.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "base/thread_pool.h"
#include "convert/checkpoint/source_tensor.h"
#include "convert/quantize_plan.h"
#include "gguf/gguf_writer.h"
#include "models/checkpoint.h"

namespace quern {

struct AdapterConvertOptions {
    std::string folder;
    std::string base;  ///< folder with the base's config.json, or its GGUF file; empty: where adapter_config.json says, if it is there
    DType dtype = DType::f16;  ///< f32, f16 or bf16
    std::string name;          ///< empty: the folder's
};

/// Holds the opened files until it is written.
class AdapterConversion {
  public:
    /// @throws ModelError  naming file and tensor, also for kinds of adapters that GGUF has no place for  @throws InvalidInput
    explicit AdapterConversion(AdapterConvertOptions options);
    AdapterConversion(const AdapterConversion&) = delete;
    AdapterConversion& operator=(const AdapterConversion&) = delete;

    std::string_view architecture() const noexcept { return architecture_; }
    const std::string& name() const noexcept { return options_.name; }
    double alpha() const noexcept { return alpha_; }
    const std::vector<PlannedTensor>& plan() const noexcept { return plan_; }

    /// @throws ModelError, DeviceError  and then nothing is written
    void write(const std::string& path, ThreadPool& pool) const;

  private:
    /// A factor of one weight: one matrix, or one for each expert.
    struct Factor {
        std::string name;
        Shape shape;
        std::vector<TensorView> matrices;
        std::vector<float> scales;  ///< each matrix is multiplied with
        bool transposes = false;
        Transform transform;
    };
    /// What the adapter's file holds for one module.
    struct Pair {
        const SourceTensor *a = nullptr, *b = nullptr;
        bool is_table = false;
    };
    /// Where a module's weight goes.
    struct Place {
        const ConvertedTensor* wanted = nullptr;
        int64_t expert = 0;
        int n_places = 0;  ///< that the same weight of a checkpoint goes to
    };

    void read_config();
    void refuse_other_kinds() const;
    void open_weights();
    void collect_pairs();
    void list_places();
    std::string find_base() const;
    const Place& find_place(const std::string& module) const;
    double scaling_of(const std::string& module, int64_t rank) const;
    void add_factors(const ConvertedTensor& wanted, const std::vector<std::pair<std::string, const Pair*>>& experts);
    void check_pair(const std::string& module, const Pair& pair, const ConvertedTensor& wanted) const;
    void make_plan();
    [[noreturn]] void fail(std::string_view what) const;
    [[noreturn]] void fail_config(std::string_view what) const;

    AdapterConvertOptions options_;
    std::unique_ptr<const CheckpointConfig> config_;
    std::vector<std::pair<std::string, double>> alphas_;  ///< alpha_pattern
    double alpha_ = 0;
    bool by_root_ = false;  ///< rank-stabilized: divided by the root of the rank
    std::unique_ptr<const MappedFile> file_;
    std::map<std::string, SourceTensor, std::less<>> tensors_;
    std::map<std::string, Pair> pairs_;  ///< by module
    std::string architecture_;
    const CheckpointFormat* format_ = nullptr;
    CheckpointTensors wanted_;
    std::map<std::string, Place> places_;  ///< by the checkpoint's name of a weight
    std::deque<Factor> factors_;
    std::unique_ptr<const GgufFile> description_;
    std::vector<PlannedTensor> plan_;
};

}  // namespace quern
