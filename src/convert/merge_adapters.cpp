#include "convert/merge_adapters.h"

#include <cmath>

#include "base/error.h"
#include "base/printable.h"
#include "kernels/quant/decode.h"
#include "kernels/quant/encode.h"

namespace quern {
namespace {

constexpr std::string_view table_name = "token_embd.weight", output_name = "output.weight";

}  // namespace

AdapterMerge::AdapterMerge(const std::string& model, std::span<const AdapterToMerge> adapters, std::optional<QuantizeType> type)
    : file_(GgufFile::open(model)), type_(type) {
    if (adapters.empty()) throw InvalidInput("no adapter was given", "adapter");
    for (const AdapterToMerge& each : adapters) {
        if (!(std::abs(each.scale) <= 1e6f)) throw InvalidInput(concat(each.path, ": the scale must be between -1e6 and 1e6"), "scale");
        const Adapter& adapter = adapters_.emplace_back(each.path, *file_);
        for (size_t i = 0; i < adapter.pairs().size(); ++i) {
            const AdapterPair& pair = adapter.pairs()[i];
            products_[pair.name].push_back({&adapter.factors()[i], each.scale, pair.is_table});
        }
    }
    plan_ = type ? plan_quantize(*file_, {.type = *type, .allow_requantize = true}) : plan_quantize(*file_, {.type = {}, .copy = true});
    if (!file_->find_tensor(output_name) && (products_.contains(table_name) || products_.contains(output_name))) separate_output(type);
    for (PlannedTensor& planned : plan_)
        if (const auto found = products_.find(planned.source->name); found != products_.end())
            plan_tensor(planned, found->second), ++n_changed_;
}

// Only one of the two changes, or both in different ways.
void AdapterMerge::separate_output(std::optional<QuantizeType> type) {
    for (size_t i = 0; i < plan_.size(); ++i) {
        if (plan_[i].source->name != table_name) continue;
        output_ = *plan_[i].source;
        output_.name = output_name;
        PlannedTensor planned{.source = &output_, .dtype = plan_[i].dtype, .wanted = plan_[i].dtype};
        if (type && is_quantized_by_recipes(output_)) planned.dtype = planned.wanted = type->dtype;
        plan_.push_back(planned);
        return;
    }
}

void AdapterMerge::plan_tensor(PlannedTensor& planned, std::vector<Product> products) const {
    const TensorView& view = planned.source->view;
    if (planned.dtype != DType::f32 && !encode_for(planned.dtype, Isa::scalar))
        throw InvalidInput(concat(planned.source->name, " is ", dtype_name(planned.dtype), ", which quern cannot write; choose --outtype"));
    const int64_t n_rows = view.shape.rank() >= 2 ? view.shape[view.shape.rank() - 2] : 1, n_cols = view.shape.n_cols();
    planned.read_row = [view, n_rows, n_cols, products = std::move(products)](int64_t row, float* out) {
        decode_for(view.dtype)(view.data + static_cast<uint64_t>(row) * row_bytes(view.dtype, static_cast<uint64_t>(n_cols)), out, n_cols);
        const int64_t matrix = row / n_rows, r = row % n_rows;
        for (const auto& [factors, scale, is_table] : products) {
            const int64_t rank = factors->rank;
            for (int64_t k = 0; k < rank; ++k) {
                // Of a table, a has a row for each token and b is [rank, n_embd]; of other weights b is [rank, n_out].
                const float weight = is_table ? factors->a[r * rank + k] : factors->b[(matrix * rank + k) * factors->b_stride + r];
                const float* const direction = is_table ? factors->b + k * factors->b_stride : factors->a + (matrix * rank + k) * n_cols;
                for (int64_t i = 0; i < n_cols; ++i) out[i] += factors->factor * scale * weight * direction[i];
            }
        }
    };
}

void AdapterMerge::write(const std::string& path, ThreadPool& pool, const QuantizeProgress& progress) const {
    GgufWriter writer;
    writer.set_all(file_->metadata());
    if (type_) writer.set("general.file_type", static_cast<uint32_t>(type_->file_type));
    write_quantized(plan_, writer, path, pool, progress);
}

}  // namespace quern
