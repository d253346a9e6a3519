#include "convert/sensitivity.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace quern {
namespace {

constexpr int64_t first_scored = 8;  // with less text before it, a prediction says little

double log_sum_exp(const float* logits, size_t n) {
    const float most = *std::max_element(logits, logits + n);
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += static_cast<double>(std::exp(logits[i] - most));
    return static_cast<double>(most) + std::log(sum);
}

}  // namespace

SensitivityProbe::SensitivityProbe(const GgufFile& file, std::span<const TokenId> tokens, int n_threads)
    : file_(file), model_(load_model(file)), device_(make_cpu_device(n_threads, std::min(best_isa(), Isa::avx2))), pool_(n_threads) {
    if (model_->pooling())
        throw InvalidInput(concat(file.path(), ": sizes are fitted by what a model predicts, but this one makes vectors of texts"));
    QUERN_CHECK(static_cast<int64_t>(tokens.size()) > 2 * first_scored);
    for (size_t i = 0; i < tokens.size(); ++i) {
        tokens_.push_back(tokens[i].value);
        if (static_cast<int64_t>(i) >= first_scored) outputs_.push_back(static_cast<int32_t>(i));
    }
    KvShape shape = model_->kv_shape();
    shape.key_type = shape.value_type = KvType::f32;
    const int64_t n_pages = (static_cast<int64_t>(tokens.size()) + kv_page_tokens - 1) / kv_page_tokens;
    cache_ = std::make_unique<KvCache>(*device_, shape, n_pages);
    for (int64_t i = 0; i < n_pages; ++i) pages_.push_back(static_cast<int32_t>(i));
    const Graph graph = model_->build(static_cast<int64_t>(tokens_.size()));
    for (const Node& node : graph.nodes())
        if ((node.op == Op::matmul || node.op == Op::embed) && !device_->supports(node.weight.dtype))
            throw ModelError(concat("quern cannot run ", dtype_name(node.weight.dtype), " weights"));
    run(graph, true);
    base_logprobs_ = std::move(logits_);
    const auto n_vocab = static_cast<size_t>(model_->n_vocab());
    pool_.for_each(static_cast<int64_t>(outputs_.size()), [&](int64_t row, int) noexcept {
        float* logits = base_logprobs_.data() + static_cast<size_t>(row) * n_vocab;
        const auto total = static_cast<float>(log_sum_exp(logits, n_vocab));
        for (size_t i = 0; i < n_vocab; ++i) logits[i] -= total;
    });
    if (!std::all_of(base_logprobs_.begin(), base_logprobs_.end(), [](float v) { return std::isfinite(v); }))
        throw ModelError("the model's logits are not finite");
}

SensitivityProbe::~SensitivityProbe() = default;

void SensitivityProbe::run(Graph graph, bool observe) {
    const auto n_tokens = static_cast<int64_t>(tokens_.size());
    Executor executor(graph, *device_, {.n_tokens = n_tokens, .n_outputs = static_cast<int64_t>(outputs_.size())});
    if (observe) {
        executor.observe([this](const LinearInput& input) {
            std::vector<float> means(static_cast<size_t>(input.n_cols));
            for (size_t i = 0; i < means.size(); ++i) {
                double sum = 0;
                for (int64_t row = 0; row < input.n_rows; ++row) {
                    const auto x = static_cast<double>(input.rows.data[row * input.rows.stride + static_cast<int64_t>(i)]);
                    sum += x * x;
                }
                means[i] = static_cast<float>(sum / static_cast<double>(input.n_rows));
            }
            for (const LinearStepOutput& matrix : input.matrices)
                for (const GgufTensor& tensor : file_.tensors())
                    if (tensor.view.data == matrix.weight.data) importance_.insert_or_assign(std::string(tensor.name), means);
        });
    }
    const SequenceSpan sequence{.n_tokens = n_tokens, .page_table = pages_.data()};
    const std::span<const float> logits = executor.run({.tokens = tokens_, .sequences = {&sequence, 1}, .outputs = outputs_}, *cache_);
    logits_.assign(logits.begin(), logits.end());
}

// sum of p (log p - log q), with log q = logit - total.
double SensitivityProbe::divergence_of_row(size_t row) const noexcept {
    const auto n_vocab = static_cast<size_t>(model_->n_vocab());
    const float* base = base_logprobs_.data() + row * n_vocab;
    const float* logits = logits_.data() + row * n_vocab;
    const double total = log_sum_exp(logits, n_vocab);
    double sum = 0, weights = 0;
    for (size_t i = 0; i < n_vocab; ++i) {
        const auto p = static_cast<double>(std::exp(base[i]));
        sum += p * (static_cast<double>(base[i]) - static_cast<double>(logits[i]) + total);
        weights += p;
    }
    return sum / weights;
}

double SensitivityProbe::divergence(const GgufTensor& tensor, const TensorView& instead) {
    Graph graph = model_->build(static_cast<int64_t>(tokens_.size()));
    graph.replace_weight(tensor.view.data, instead);
    run(std::move(graph), false);
    std::vector<double> rows(outputs_.size());
    pool_.for_each(static_cast<int64_t>(rows.size()),
                   [&](int64_t row, int) noexcept { rows[static_cast<size_t>(row)] = divergence_of_row(static_cast<size_t>(row)); });
    double sum = 0;
    for (const double each : rows) sum += each;
    if (!std::isfinite(sum)) throw ModelError(concat("the model's logits are not finite with ", tensor.name, " quantized"));
    return std::max(0.0, sum / static_cast<double>(rows.size()));
}

}  // namespace quern
