#include "tools/quantize/fit.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "convert/encode_error.h"
#include "convert/fit.h"
#include "convert/quantize.h"
#include "convert/sensitivity.h"
#include "engine/load_vocabulary.h"
#include "kernels/quant/encode.h"
#include "tools/progress_line.h"
#include "tools/quantities.h"
#include "tools/text_file.h"

namespace quern {
namespace {

// What a tensor may become; ternary formats and MXFP4 suit only models that were trained for them.
constexpr DType formats[] = {DType::iq1_s, DType::iq1_m, DType::iq2_xxs, DType::iq2_xs, DType::iq2_s, DType::q2_k, DType::iq3_xxs,
                             DType::iq3_s, DType::q3_k,  DType::iq4_xs,  DType::iq4_nl, DType::q4_0,  DType::q4_k, DType::q4_1,
                             DType::q5_0,  DType::q5_k,  DType::q5_1,    DType::q6_k,   DType::q8_0,  DType::f16};
// Formats that are encoded fast: one of them stands in a tensor's place when its sensitivity is measured.
constexpr DType probe_formats[] = {DType::q2_k, DType::q3_k, DType::iq4_nl, DType::q4_k,
                                   DType::q5_0, DType::q5_k, DType::q6_k,   DType::q8_0};
// Formats that are far below the budget are not tried: their encoders are slow, and they are not chosen.
constexpr double least_share_of_budget = 0.45;
// Weights times tokens times runs: above it only some layers are measured, and those between them estimated.
constexpr double most_work = 1e14;
constexpr double padding_bytes = 32;  // at most, after each tensor

double bits_of(DType dtype) { return 8.0 * dtype_info(dtype).block_bytes / dtype_info(dtype).block_size; }

/// A tensor that the recipe would decide about.
struct FreeTensor {
    const PlannedTensor* planned;
    std::vector<FitChoice> choices;  ///< cost: relative error, until the sensitivity is known
    DType probe = DType::q8_0;
    double probe_error = 0;
    std::optional<double> sensitivity;  ///< KL divergence for a relative error of 1

    const GgufTensor& source() const { return *planned->source; }
};

bool is_possible(DType dtype, const FreeTensor& tensor) {
    const auto n_cols = static_cast<uint64_t>(tensor.source().view.shape.n_cols());
    const bool lacks_importance = tensor.planned->importance.empty() && needs_importance(dtype, FileType::q2_k, tensor.source().name);
    return n_cols % dtype_info(dtype).block_size == 0 && !lacks_importance && encode_for(dtype, Isa::scalar);
}

/// Those asked for, or all that are worth a try; what divides the rows if none of these does.
std::vector<DType> possible_formats(const FreeTensor& tensor, std::span<const DType> asked, double bits_per_weight) {
    std::vector<DType> found;
    for (const DType dtype : asked.empty() ? std::span<const DType>(formats) : asked)
        if (is_possible(dtype, tensor) && (!asked.empty() || bits_of(dtype) >= least_share_of_budget * bits_per_weight))
            found.push_back(dtype);
    if (!found.empty()) return found;
    for (const DType dtype : asked) {
        const DType other = dtype_that_fits(dtype, tensor.source().view.shape.n_cols());
        if (is_possible(other, tensor)) found.push_back(other);
    }
    if (found.empty()) found.push_back(DType::f16);
    return found;
}

DType probe_format(const FreeTensor& tensor, double bits_per_weight) {
    const auto n_cols = static_cast<uint64_t>(tensor.source().view.shape.n_cols());
    DType best = DType::f16;
    for (const DType dtype : probe_formats)
        if (n_cols % dtype_info(dtype).block_size == 0 &&
            std::abs(bits_of(dtype) - bits_per_weight) < std::abs(bits_of(best) - bits_per_weight))
            best = dtype;
    return best;
}

/// Errors of the formats, from samples.
void measure_errors(FreeTensor& tensor, std::vector<DType> dtypes, const SampledRows& rows, double bits_per_weight, ThreadPool& pool) {
    tensor.probe = probe_format(tensor, bits_per_weight);
    dtypes.push_back(tensor.probe);
    std::vector<double> errors(dtypes.size());
    pool.for_each(static_cast<int64_t>(dtypes.size()),
                  [&](int64_t i, int) noexcept { errors[static_cast<size_t>(i)] = rows.relative_error(dtypes[static_cast<size_t>(i)]); });
    tensor.probe_error = errors.back();
    for (size_t i = 0; i + 1 < dtypes.size(); ++i) {
        PlannedTensor planned = *tensor.planned;
        planned.dtype = dtypes[i];
        tensor.choices.push_back({.dtype = dtypes[i], .bytes = planned.bytes(), .cost = errors[i]});
    }
}

/// "blk.7.ffn_up.weight" -> 7 and ".ffn_up.weight"; nothing for tensors outside of the layers.
struct LayerName {
    int64_t layer = 0;
    std::string kind;
};
std::optional<LayerName> layer_of(std::string_view name) {
    constexpr std::string_view prefix = "blk.";
    LayerName result;
    if (!name.starts_with(prefix)) return std::nullopt;
    const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), result.layer);
    if (error != std::errc()) return std::nullopt;
    result.kind.assign(end, name.data() + name.size());
    return result;
}

/// Which tensors are measured: all of them, or those of every n-th layer.
std::vector<bool> choose_measured(std::span<const FreeTensor> tensors, double work_of_run) {
    const double work = work_of_run * static_cast<double>(tensors.size());
    const auto stride = static_cast<int64_t>(std::ceil(std::max(1.0, work / most_work)));
    int64_t last = 0;
    for (const FreeTensor& each : tensors)
        if (const auto place = layer_of(each.source().name)) last = std::max(last, place->layer);
    std::vector<bool> measured;
    for (const FreeTensor& each : tensors) {
        const auto place = layer_of(each.source().name);
        measured.push_back(!place || place->layer % stride == 0 || place->layer == last);
    }
    return measured;
}

/// Between the nearest layers that were measured, in proportion; where there are none, the mean of all.
void estimate_others(std::vector<FreeTensor>& tensors) {
    std::map<std::string, std::map<int64_t, double>> known;
    double logs = 0, n = 0;
    for (const FreeTensor& each : tensors) {
        if (!each.sensitivity) continue;
        logs += std::log(*each.sensitivity);
        ++n;
        if (const auto place = layer_of(each.source().name)) known[place->kind][place->layer] = std::log(*each.sensitivity);
    }
    for (FreeTensor& each : tensors) {
        if (each.sensitivity) continue;
        const auto place = layer_of(each.source().name);
        const std::map<int64_t, double>* layers = place ? &known[place->kind] : nullptr;
        if (!layers || layers->empty()) {
            each.sensitivity = n > 0 ? std::exp(logs / n) : 1.0;
            continue;
        }
        const auto after = layers->lower_bound(place->layer);
        const auto before = after == layers->begin() ? after : std::prev(after);
        const auto upper = after == layers->end() ? before : after;
        const double span = static_cast<double>(upper->first - before->first);
        const double share = span > 0 ? static_cast<double>(place->layer - before->first) / span : 0;
        each.sensitivity = std::exp(before->second + share * (upper->second - before->second));
    }
}

/// Runs the model with one tensor after the other in its probe format.
void measure_sensitivities(std::vector<FreeTensor>& tensors, SensitivityProbe& probe, double work_of_run, ThreadPool& pool) {
    constexpr double least = 1e-9;  // a tensor that a short text does not reach is not free of cost
    const std::vector<bool> measured = choose_measured(tensors, work_of_run);
    const auto n = static_cast<double>(std::count(measured.begin(), measured.end(), true));
    double done = 0;
    ProgressLine line;
    for (size_t i = 0; i < tensors.size(); ++i) {
        FreeTensor& tensor = tensors[i];
        if (!measured[i]) continue;
        line.show(done++ / n, concat("measuring ", tensor.source().name));
        PlannedTensor planned = *tensor.planned;
        planned.dtype = tensor.probe;
        const std::vector<std::byte> encoded = encode_tensor(planned, pool);
        const TensorView view{tensor.probe, tensor.source().view.shape, encoded.data()};
        const double divergence = probe.divergence(tensor.source(), view);
        tensor.sensitivity = std::max(divergence, least) / std::max(tensor.probe_error, 1e-12);
    }
    estimate_others(tensors);
}

/// nullptr where the model cannot be run or has no vocabulary; says so.
std::unique_ptr<SensitivityProbe> make_probe(const GgufFile& file, const QuantizeRequest& request) {
    try {
        Vocabulary vocabulary = load_vocabulary(file);
        if (vocabulary.empty()) throw ModelError("the file has no vocabulary");
        const std::unique_ptr<const Tokenizer> tokenizer = Tokenizer::create(std::move(vocabulary));
        std::vector<TokenId> tokens = tokenizer->tokenize(
            request.fit->text_file.empty() ? fit_sample_text : read_text_file(request.fit->text_file), {.add_special = true});
        const int64_t n = std::min<int64_t>(request.fit->n_tokens, load_model(file)->n_ctx_train());
        if (static_cast<int64_t>(tokens.size()) > n) tokens.resize(static_cast<size_t>(n));
        if (tokens.size() < 32) throw ModelError(concat("a text of ", tokens.size(), " tokens is too short to measure on"));
        return std::make_unique<SensitivityProbe>(file, tokens, request.n_threads);
    } catch (const ModelError& error) {
        log_warning(concat("--fit goes by the weights' errors alone, for the model cannot be measured: ", error.what()));
        return nullptr;
    }
}

/// Bytes that the free tensors may take.
uint64_t budget_for(std::span<const PlannedTensor> plan, const FitBudget& budget, uint64_t header_bytes) {
    double fixed = 0, n_values = 0;
    for (const PlannedTensor& each : plan) {
        n_values += static_cast<double>(each.source->view.shape.n_values());
        if (!each.is_free) fixed += static_cast<double>(each.bytes());
    }
    double all = n_values * budget.bits_per_weight / 8;
    if (budget.file_bytes > 0)
        all = static_cast<double>(budget.file_bytes) - static_cast<double>(header_bytes) - padding_bytes * static_cast<double>(plan.size());
    return static_cast<uint64_t>(std::max(0.0, all - fixed));
}

/// The recipe whose own format holds most of the bytes.
QuantizeType type_of(const std::map<DType, uint64_t>& bytes) {
    const auto most = std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    for (const QuantizeType& type : all_quantize_types())
        if (most != bytes.end() && type.dtype == most->first) return type;
    return *find_quantize_type("Q8_0");
}

}  // namespace

Fit fit_formats(const GgufFile& file, const QuantizeRequest& request, uint64_t header_bytes) {
    QuantizeOptions options = request.options;
    options.type = *find_quantize_type("Q8_0");
    const std::vector<PlannedTensor> plan = plan_quantize(file, options);
    std::vector<FreeTensor> tensors;
    double n_values = 0, n_free = 0;
    for (const PlannedTensor& each : plan) {
        n_values += static_cast<double>(each.source->view.shape.n_values());
        if (!each.is_free) continue;
        n_free += static_cast<double>(each.source->view.shape.n_values());
        tensors.push_back({.planned = &each});
    }
    if (tensors.empty()) throw InvalidInput("--fit has nothing to choose: no tensor is left to it", "fit");
    const uint64_t budget = budget_for(plan, request.fit->budget, header_bytes);
    const double bits = 8.0 * static_cast<double>(budget) / n_free;
    ThreadPool pool(request.n_threads);
    const std::unique_ptr<SensitivityProbe> probe = make_probe(file, request);
    {
        ProgressLine line;
        for (size_t i = 0; i < tensors.size(); ++i) {
            FreeTensor& tensor = tensors[i];
            line.show(static_cast<double>(i) / static_cast<double>(tensors.size()), concat("errors of ", tensor.source().name));
            std::span<const float> weights = tensor.planned->importance;
            if (weights.empty() && probe) {
                const auto found = probe->importance().find(tensor.source().name);
                if (found != probe->importance().end()) weights = found->second;
            }
            const SampledRows rows(tensor.source(), tensor.planned->importance, weights);
            measure_errors(tensor, possible_formats(tensor, request.fit->formats, bits), rows, bits, pool);
        }
    }
    if (probe) measure_sensitivities(tensors, *probe, n_values * static_cast<double>(request.fit->n_tokens), pool);
    std::vector<std::vector<FitChoice>> choices;
    for (FreeTensor& each : tensors) {
        for (FitChoice& choice : each.choices) choice.cost *= each.sensitivity.value_or(1.0);
        choices.push_back(each.choices);
    }
    const auto chosen = choose_within(choices, budget);
    if (!chosen)
        throw InvalidInput(
            concat("--fit: the weights would take ", human_bytes(least_bytes(choices)), " at least, but only ", human_bytes(budget),
                   " are left for them", request.imatrix ? "" : "; with --imatrix there are smaller formats"),
            "fit");
    Fit fit{.type = options.type, .is_measured = probe != nullptr};
    std::map<DType, uint64_t> bytes;
    for (size_t i = 0; i < tensors.size(); ++i) {
        const FitChoice& choice = choices[i][(*chosen)[i]];
        fit.formats.emplace(tensors[i].source().name, choice.dtype);
        fit.costs.emplace(tensors[i].source().name, choice.cost);
        bytes[choice.dtype] += choice.bytes;
    }
    fit.type = type_of(bytes);
    return fit;
}

}  // namespace quern
