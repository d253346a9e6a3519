#include "convert/quantize_plan.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "kernels/quant/decode.h"
#include "kernels/quant/encode.h"

namespace quern {
namespace {

bool is_float(DType dtype) { return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16; }

// Sizes of 1 on the outside do not count: such a tensor is a vector.
int true_rank(const Shape& shape) {
    int rank = shape.rank();
    for (int axis = 0; axis < shape.rank() - 1 && shape[axis] == 1; ++axis) --rank;
    return rank;
}

std::optional<DType> overridden(const QuantizeOptions& options, std::string_view name) {
    for (const QuantizeOptions::Override& each : options.overrides)
        if (each.pattern.is_in(name)) return each.dtype;
    return std::nullopt;
}

/// What the user asks for by the tensor's name.
std::optional<DType> asked_dtype(const Recipe& recipe, const QuantizeOptions& options, std::string_view name) {
    const bool is_output = name == "output.weight" || (!recipe.model.has_output && name == "token_embd.weight");
    if (is_output && options.output_dtype) return options.output_dtype;
    if (name == "token_embd.weight" && options.embedding_dtype) return options.embedding_dtype;
    return overridden(options, name);
}

DType wanted_dtype(const Recipe& recipe, const QuantizeOptions& options, const GgufTensor& tensor, int64_t n_matrices) {
    const std::string_view name = tensor.name;
    if (const auto dtype = asked_dtype(recipe, options, name)) return *dtype;
    if (options.chosen) {
        const auto found = options.chosen->find(name);
        if (found != options.chosen->end()) return found->second;
    }
    return options.pure ? recipe.type.dtype : recipe.dtype_for(name, tensor.view.shape.n_cols(), n_matrices);
}

std::span<const float> importance_of(const QuantizeOptions& options, const GgufTensor& tensor, int64_t n_matrices) {
    if (!options.importance) return {};
    const auto found = options.importance->find(tensor.name);
    if (found == options.importance->end()) return {};
    const auto n_cols = static_cast<size_t>(tensor.view.shape.n_cols());
    const size_t n = found->second.size();
    if (n != n_cols && n != n_cols * static_cast<size_t>(n_matrices))
        throw ModelError(concat("the importance matrix has ", n, " values for ", tensor.name, ", whose rows are ", n_cols,
                                " long: it was made from another model"));
    return found->second;
}

void check(const PlannedTensor& planned, const QuantizeOptions& options) {
    const GgufTensor& tensor = *planned.source;
    if (planned.is_copied()) return;
    const DType from = tensor.view.dtype;
    if (!decode_for(from)) throw InvalidInput(concat(tensor.name, " is ", dtype_name(from), ", which quern cannot read"));
    if (!is_float(from) && !options.allow_requantize)
        throw InvalidInput(concat(tensor.name, " is ", dtype_name(from), " already, and would lose once more as ",
                                  dtype_name(planned.dtype), "; start from an F16 or F32 file, or say --allow-requantize"));
    if (planned.dtype != DType::f32 && !encode_for(planned.dtype, Isa::scalar))
        throw InvalidInput(concat(tensor.name, " would become ", dtype_name(planned.dtype), ", which quern cannot write yet"));
    if (planned.importance.empty() && needs_importance(planned.dtype, options.type.file_type, tensor.name))
        throw InvalidInput(concat(dtype_name(planned.dtype), " for ", tensor.name,
                                  options.importance ? ", which the importance matrix lacks" : "",
                                  " needs an importance matrix: make one with quern imatrix and give it with --imatrix, or choose a type "
                                  "of three bits or more"));
}

/// A slip of the pen would otherwise show only in the file's size.
void check_overrides(const GgufFile& file, const QuantizeOptions& options) {
    for (const QuantizeOptions::Override& each : options.overrides) {
        const auto is_meant = [&](const GgufTensor& tensor) { return is_quantized_by_recipes(tensor) && each.pattern.is_in(tensor.name); };
        if (std::none_of(file.tensors().begin(), file.tensors().end(), is_meant))
            throw InvalidInput(concat("the pattern ", quoted(each.pattern.text()),
                                      " is found in no name of a tensor that is quantized; quern inspect lists the names"));
    }
}

}  // namespace

bool is_quantized_by_recipes(const GgufTensor& tensor) {
    constexpr std::string_view kept[] = {"_norm.weight",
                                         "ffn_gate_inp.weight",
                                         "position_embd.weight",
                                         "token_types.weight",
                                         "ssm_conv1d.weight",
                                         "shortconv.conv.weight",
                                         "attn_rel_b.weight",
                                         "altup",
                                         "laurel",
                                         "per_layer_model_proj",
                                         "time_mix_first.weight",
                                         "time_mix_w0.weight",
                                         "time_mix_w1.weight",
                                         "time_mix_w2.weight",
                                         "time_mix_v0.weight",
                                         "time_mix_v1.weight",
                                         "time_mix_v2.weight",
                                         "time_mix_a0.weight",
                                         "time_mix_a1.weight",
                                         "time_mix_a2.weight",
                                         "time_mix_g1.weight",
                                         "time_mix_g2.weight",
                                         "time_mix_decay_w1.weight",
                                         "time_mix_decay_w2.weight",
                                         "time_mix_lerp_fused.weight"};
    if (!tensor.name.ends_with("weight") || true_rank(tensor.view.shape) < 2) return false;
    return std::none_of(std::begin(kept), std::end(kept),
                        [&](std::string_view part) { return tensor.name.find(part) != std::string_view::npos; });
}

uint64_t PlannedTensor::bytes() const {
    const Shape& shape = source->view.shape;
    return static_cast<uint64_t>(shape.n_rows()) * row_bytes(dtype, static_cast<uint64_t>(shape.n_cols()));
}

std::vector<PlannedTensor> plan_quantize(const GgufFile& file, const QuantizeOptions& options) {
    const Recipe recipe{.type = options.type, .model = model_facts(file), .has_importance = options.importance != nullptr};
    if (!options.copy) check_overrides(file, options);
    std::vector<PlannedTensor> plan;
    plan.reserve(file.tensors().size());
    for (const GgufTensor& tensor : file.tensors()) {
        PlannedTensor planned{.source = &tensor, .dtype = tensor.view.dtype, .wanted = tensor.view.dtype};
        if (!options.copy && is_quantized_by_recipes(tensor) && !(options.leave_output && tensor.name == "output.weight")) {
            const Shape& shape = tensor.view.shape;
            const int64_t n_matrices = shape.rank() >= 3 ? shape[shape.rank() - 3] : 1;
            planned.wanted = wanted_dtype(recipe, options, tensor, n_matrices);
            planned.dtype = dtype_that_fits(planned.wanted, shape.n_cols());
            planned.is_free = !asked_dtype(recipe, options, tensor.name);
            planned.fell_back = planned.dtype != planned.wanted;
            planned.importance = importance_of(options, tensor, n_matrices);
            check(planned, options);
        }
        plan.push_back(planned);
    }
    return plan;
}

}  // namespace quern
