// A model with adapters worked into its weights: each weight plus factor * scale * b a.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "convert/quantize.h"
#include "convert/quantize_plan.h"
#include "models/adapter.h"

namespace quern {

struct AdapterToMerge {
    std::string path;
    float scale = 1;
};

/// Holds the opened files until it is written.
class AdapterMerge {
  public:
    /// @param type  of the result; nothing: each tensor stays as it is, and those that change are encoded anew
    /// @throws ModelError, InvalidInput
    AdapterMerge(const std::string& model, std::span<const AdapterToMerge> adapters, std::optional<QuantizeType> type);
    AdapterMerge(const AdapterMerge&) = delete;
    AdapterMerge& operator=(const AdapterMerge&) = delete;

    size_t n_changed() const noexcept { return n_changed_; }
    const std::vector<PlannedTensor>& plan() const noexcept { return plan_; }
    /// One tensor in memory at a time, and the adapters. @throws ModelError, DeviceError  and then nothing is written
    void write(const std::string& path, ThreadPool& pool, const QuantizeProgress& progress) const;

  private:
    /// A product that is added to a tensor.
    struct Product {
        const AdapterFactors* factors;
        float scale;
        bool is_table;
    };

    void separate_output(std::optional<QuantizeType> type);
    void plan_tensor(PlannedTensor& planned, std::vector<Product> products) const;

    std::unique_ptr<const GgufFile> file_;
    std::deque<Adapter> adapters_;
    std::map<std::string, std::vector<Product>, std::less<>> products_;  // by weight
    GgufTensor output_;  // where the table of embeddings served as output matrix, too, and no longer can
    std::optional<QuantizeType> type_;
    std::vector<PlannedTensor> plan_;
    size_t n_changed_ = 0;
};

}  // namespace quern
