#include "models/adapter.h"

#include <cmath>

#include "base/error.h"
#include "base/printable.h"
#include "kernels/quant/decode.h"

namespace quern {
namespace {

constexpr std::string_view suffix_a = ".lora_a", suffix_b = ".lora_b";
constexpr int64_t most_rank = 1 << 14;  // far beyond any in use; the memory of a step grows with it

constexpr std::string_view table_name = "token_embd.weight", output_name = "output.weight";

// The weight that a pair belongs to. A model whose output matrix is its table of embeddings may have one adapted without the other.
const GgufTensor* find_base(const GgufFile& base, std::string_view name) {
    if (const GgufTensor* found = base.find_tensor(name)) return found;
    return name == output_name ? base.find_tensor(table_name) : nullptr;
}

}  // namespace

AdapterFile::AdapterFile(const std::string& path, const GgufFile& base) : path_(path), file_(GgufFile::open(path)) {
    check_keys(base);
    for (const GgufTensor& tensor : file_->tensors()) {
        const bool is_a = tensor.name.ends_with(suffix_a);
        if (!is_a && !tensor.name.ends_with(suffix_b))
            fail(concat("tensor ", printable(tensor.name), " is neither a .lora_a nor a .lora_b"));
        const std::string name(tensor.name.substr(0, tensor.name.size() - suffix_a.size()));
        const GgufTensor* other = file_->find_tensor(name + std::string(is_a ? suffix_b : suffix_a));
        if (!other) fail(concat("tensor ", printable(tensor.name), " has no ", is_a ? suffix_b : suffix_a, " beside it"));
        if (is_a) add_pair(tensor, *other, base);
    }
    if (pairs_.empty()) fail("the adapter holds no tensors");
}

void AdapterFile::fail(const std::string& what) const { throw ModelError(concat(path_, ": ", what)); }

void AdapterFile::check_keys(const GgufFile& base) const {
    const Metadata& metadata = file_->metadata();
    const std::string_view type = metadata.string("general.type").value_or("model");
    if (type != "adapter") fail(concat("this is no adapter: general.type is ", quoted(type)));
    const std::string_view kind = metadata.string("adapter.type").value_or("");
    if (kind != "lora") fail(concat("adapter.type is ", quoted(kind), "; quern applies those of the type lora"));
    if (metadata.has("adapter.alora.invocation_tokens"))
        fail("the adapter begins to act at certain tokens only (aLoRA), which quern does not support");
    const std::string_view own = metadata.require_string("general.architecture");
    const std::string_view expected = base.metadata().require_string("general.architecture");
    if (own != expected)
        fail(concat("the adapter is for the architecture ", printable(own), ", but ", base.path(), " is ", printable(expected)));
}

void AdapterFile::add_pair(const GgufTensor& a, const GgufTensor& b, const GgufFile& base) {
    AdapterPair pair{.name = std::string(a.name.substr(0, a.name.size() - suffix_a.size())), .a = a.view, .b = b.view};
    pair.is_table = pair.name == table_name;
    const GgufTensor* weight = find_base(base, pair.name);
    if (!weight) fail(concat("tensor ", printable(a.name), " is for ", printable(pair.name), ", which ", base.path(), " does not have"));
    pair.base = weight->view;
    check_shapes(pair);
    for (const GgufTensor* each : {&a, &b})
        if (!decode_for(each->view.dtype))
            fail(concat("tensor ", printable(each->name), " is ", dtype_name(each->view.dtype), ", which quern cannot read yet"));
    if (pair.rank() > most_rank)
        fail(concat("tensor ", printable(b.name), " has the rank ", pair.rank(), "; quern takes up to ", most_rank));
    const double alpha = file_->metadata().real("adapter.lora.alpha").value_or(0.0);
    if (!std::isfinite(alpha)) fail("adapter.lora.alpha is not finite");
    pair.factor = alpha != 0.0 ? static_cast<float>(alpha / static_cast<double>(pair.rank())) : 1.0f;
    pairs_.push_back(std::move(pair));
}

void AdapterFile::check_shapes(const AdapterPair& pair) const {
    const Shape &w = pair.base.shape, &a = pair.a.shape, &b = pair.b.shape;
    if (w.rank() != 2 && w.rank() != 3) fail(concat(printable(pair.name), " is ", to_string(w), ": only matrices can be adapted"));
    bool fits = a.rank() == w.rank() && b.rank() == w.rank() && b.n_cols() > 0;
    if (fits && pair.is_table) fits = a == Shape{w[0], b[1]} && b[0] == w[1];
    if (fits && !pair.is_table) {
        const int rows = w.rank() - 2;
        fits = a.n_cols() == w.n_cols() && a[rows] == b.n_cols() && b[rows] == w[rows] && (rows == 0 || (a[0] == w[0] && b[0] == w[0]));
    }
    if (!fits)
        fail(concat("tensors ", printable(pair.name), ".lora_a ", to_string(a), " and .lora_b ", to_string(b), " do not fit the model's ",
                    to_string(w), "; is the adapter for another model?"));
}

void read_factor_row(const AdapterFile& file, const AdapterPair& pair, const TensorView& factor, int64_t row, float* out) {
    const int64_t n = factor.shape.n_cols();
    decode_for(factor.dtype)(factor.data + static_cast<uint64_t>(row) * row_bytes(factor.dtype, static_cast<uint64_t>(n)), out, n);
    for (int64_t i = 0; i < n; ++i)
        if (!std::isfinite(out[i]))
            throw ModelError(concat(file.path(), ": tensor ", printable(pair.name), factor.data == pair.a.data ? suffix_a : suffix_b,
                                    " holds a value that is not finite"));
}

Adapter::Adapter(const std::string& path, const GgufFile& base, Reading reading) : file_(path, base) {
    uint64_t n_values = 0;
    for (const AdapterPair& pair : file_.pairs()) n_values += static_cast<uint64_t>(pair.a.shape.n_values() + pair.b.shape.n_values());
    memory_ = Buffer(n_values * sizeof(float), "the adapter");  // takes nothing from the system until it is written
    auto* at = reinterpret_cast<float*>(memory_.data());
    for (const AdapterPair& pair : file_.pairs()) {
        float* const a = at;
        float* const b = a + pair.a.shape.n_values();
        if (reading == Reading::whole) read_factors(pair, a, b);
        factors_.push_back(
            {.a = a, .b = b, .rank = pair.rank(), .b_stride = pair.b.shape.n_rows() / pair.n_experts(), .factor = pair.factor});
        at = b + pair.b.shape.n_values();
    }
    if (const std::string damage = file_.damage(); !damage.empty()) throw ModelError(damage);  // what it lacks was read as zeros
}

void Adapter::read_factors(const AdapterPair& pair, float* a, float* b) const {
    for (int64_t r = 0; r < pair.a.shape.n_rows(); ++r) read_factor_row(file_, pair, pair.a, r, a + r * pair.a.shape.n_cols());
    const int64_t rank = pair.rank(), n_out = pair.b.shape.n_rows() / pair.n_experts();
    std::vector<float> row(static_cast<size_t>(rank));
    for (int64_t r = 0; r < pair.b.shape.n_rows(); ++r) {  // transposed within each expert
        read_factor_row(file_, pair, pair.b, r, row.data());
        float* const expert = b + r / n_out * n_out * rank;
        for (int64_t k = 0; k < rank; ++k) expert[k * n_out + r % n_out] = row[static_cast<size_t>(k)];
    }
}

void Adapter::apply(Graph& graph, int index, Reach reach) const {
    for (size_t i = 0; i < factors_.size(); ++i) {
        const AdapterPair& pair = file_.pairs()[i];
        AdapterFactors factors = factors_[i];
        factors.adapter = index;
        if (graph.adapt(pair.base, pair.is_table ? Op::embed : Op::matmul, factors) == 0 && reach == Reach::all)
            throw ModelError(concat(path(), ": quern cannot apply an adapter to ", printable(pair.name), " of this architecture"));
    }
}

}  // namespace quern
