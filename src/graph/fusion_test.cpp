// The fused plan against one step per node, on a small decoder with every fusible pattern, in several batches.
#include "graph/fusion.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <random>

#include "graph/executor.h"

using namespace quern;

namespace {

/// Random f32 weights that live as long as this.
class Weights {
  public:
    TensorView make(Shape shape, float scale = 0.2f) {
        std::vector<float>& data = storage_.emplace_back(static_cast<size_t>(shape.n_values()));
        std::normal_distribution<float> normal(0.0f, scale);
        for (float& each : data) each = normal(random_);
        return {DType::f32, shape, reinterpret_cast<const std::byte*>(data.data())};
    }

  private:
    std::mt19937 random_{5};
    std::deque<std::vector<float>> storage_;
};

constexpr int n_vocab = 33, n_embd = 48, n_heads = 4, n_kv_heads = 2, head_dim = 16, n_ff = 80, n_layers = 2;

Graph small_decoder(Weights& weights, bool biases, bool head_norm) {
    Graph g;
    const int rope = g.add_rope({rope_frequencies({.n_dims = head_dim, .base = 100.0f}, {}), RopeStyle::halves});
    Tensor x = g.embed(weights.make({n_vocab, n_embd}, 1.0f));
    const auto project = [&](Tensor from, int width) {
        Tensor y = g.matmul(weights.make({width, n_embd}), from);
        return biases ? g.add_bias(y, weights.make({width})) : y;
    };
    for (int layer = 0; layer < n_layers; ++layer) {
        const Tensor h = g.rms_norm(x, weights.make({n_embd}, 1.0f), 1e-5f);
        Tensor q = g.heads(project(h, n_heads * head_dim), n_heads), k = g.heads(project(h, n_kv_heads * head_dim), n_kv_heads);
        const Tensor v = g.heads(project(h, n_kv_heads * head_dim), n_kv_heads);
        if (head_norm) q = g.rms_norm(q, weights.make({head_dim}, 1.0f), 1e-5f);
        if (head_norm) k = g.rms_norm(k, weights.make({head_dim}, 1.0f), 1e-5f);
        const Tensor a = g.attend(g.rope(q, rope), g.rope(k, rope), v, layer, {.scale = 0.25f});
        x = g.add(x, g.matmul(weights.make({n_embd, n_heads * head_dim}), a));
        const Tensor f = g.rms_norm(x, weights.make({n_embd}, 1.0f), 1e-5f);
        const Tensor product = g.multiply(g.silu(g.matmul(weights.make({n_ff, n_embd}), f)), g.matmul(weights.make({n_ff, n_embd}), f));
        x = g.add(x, g.matmul(weights.make({n_embd, n_ff}), product));
    }
    g.set_result(g.matmul(weights.make({n_vocab, n_embd}), g.rms_norm(g.select_outputs(x), weights.make({n_embd}, 1.0f), 1e-5f)));
    return g;
}

std::vector<float> run(const Graph& graph, Fusion fusion, Isa isa, int n_threads) {
    const auto device = make_cpu_device(n_threads, isa);
    Executor executor(graph, *device, {.n_tokens = 80, .n_outputs = 4}, fusion);
    KvCache cache(*device, {n_layers, n_kv_heads, head_dim}, 6);
    const std::vector<int32_t> pages_a{3, 1}, pages_b{0, 5};
    std::vector<int32_t> tokens;
    for (int i = 0; i < 75; ++i) tokens.push_back(i * 7 % n_vocab);
    std::vector<float> all;
    const auto step = [&](std::vector<SequenceSpan> sequences, std::vector<int32_t> outputs) {
        const auto n_tokens = static_cast<size_t>(sequences.back().first_token + sequences.back().n_tokens);
        const auto logits = executor.run({.tokens = {tokens.data(), n_tokens}, .sequences = sequences, .outputs = outputs}, cache);
        all.insert(all.end(), logits.begin(), logits.end());
    };
    step({{.n_tokens = 70, .page_table = pages_a.data()}, {.first_token = 70, .n_tokens = 5, .page_table = pages_b.data()}}, {3, 69, 74});
    step({{.n_tokens = 3, .first_position = 5, .page_table = pages_b.data()}}, {});
    step({{.n_tokens = 1, .first_position = 70, .page_table = pages_a.data()},
          {.first_token = 1, .n_tokens = 1, .first_position = 8, .page_table = pages_b.data()}},
         {0, 1});
    return all;
}

void check_close(const std::vector<float>& a, const std::vector<float>& b, double limit) {
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(a[i]) - b[i]));
    CHECK(worst < limit);
}

int count(const Plan& plan, size_t kind) {
    return static_cast<int>(std::count_if(plan.steps.begin(), plan.steps.end(), [&](const Step& step) { return step.index() == kind; }));
}

}  // namespace

TEST_CASE("a decoder layer becomes five phases") {
    Weights weights;
    const Plan plan = lower(small_decoder(weights, true, false));
    // Each layer: qkv, attend, output, gate+up, down; around them embed, select and the output matrix.
    CHECK(plan.steps.size() == n_layers * 5 + 3);
    CHECK(count(plan, Step(LinearStep{}).index()) == n_layers * 4 + 1);
    CHECK(lower(small_decoder(weights, true, false), Fusion::off).steps.size() > 2 * plan.steps.size());
}

TEST_CASE("the fused plan computes what one step per node computes") {
    for (const bool biases : {false, true})
        for (const bool head_norm : {false, true}) {
            CAPTURE(biases);
            CAPTURE(head_norm);
            Weights weights;
            const Graph graph = small_decoder(weights, biases, head_norm);
            const std::vector<float> plain = run(graph, Fusion::off, Isa::scalar, 1);
            CHECK(plain.size() == 5 * n_vocab);
            check_close(plain, run(graph, Fusion::on, Isa::scalar, 1), 1e-4);
            check_close(plain, run(graph, Fusion::on, best_isa(), 3), 1e-3);
            check_close(plain, run(graph, Fusion::off, best_isa(), 2), 1e-3);
        }
}

namespace {

// The graph makes the same of two tokens, with fusion and without.
void check_fusion(const Graph& g) {
    const auto evaluate = [&](Fusion fusion) {
        const auto device = make_cpu_device(3, Isa::scalar);
        Executor executor(g, *device, {.n_tokens = 4, .n_outputs = 4}, fusion);
        KvCache cache(*device, {1, 1, 8}, 1);
        const std::vector<int32_t> tokens{1, 2}, outputs{0, 1}, pages{0};
        const SequenceSpan sequence{.n_tokens = 2, .page_table = pages.data()};
        const auto logits = executor.run({.tokens = tokens, .sequences = {&sequence, 1}, .outputs = outputs}, cache);
        return std::vector<float>(logits.begin(), logits.end());
    };
    check_close(evaluate(Fusion::on), evaluate(Fusion::off), 1e-5);
}

}  // namespace

TEST_CASE("a value that is still read is not overwritten by a residual add") {
    Weights weights;
    Graph after, between, itself, chain;
    const auto embed = [&](Graph& g) { return g.embed(weights.make({n_vocab, n_embd}, 1.0f)); };
    const auto project = [&](Graph& g, Tensor from) { return g.matmul(weights.make({n_embd, n_embd}), from); };
    {
        const Tensor x = embed(after), y = after.add(x, project(after, x));
        after.set_result(after.select_outputs(after.add(y, x)));
    }
    {
        const Tensor x = embed(between), p = project(between, between.rms_norm(x, weights.make({n_embd}, 1.0f), 1e-5f));
        const Tensor s = between.silu(x), y = between.add(x, p);  // the product's phase ends before s is made
        between.set_result(between.select_outputs(between.add(y, s)));
    }
    {
        const Tensor x = embed(itself);
        itself.set_result(itself.select_outputs(itself.add(x, project(itself, x))));  // the product reads what it would overwrite
    }
    {
        const Tensor x = embed(chain), n = chain.rms_norm(project(chain, x), weights.make({n_embd}, 1.0f), 1e-5f);
        const Tensor s = chain.silu(x);
        chain.set_result(chain.select_outputs(chain.multiply(chain.add(x, n), s)));
    }
    for (const Graph* g : {&after, &between, &itself, &chain}) check_fusion(*g);
}

TEST_CASE("windows, soft caps, sinks, layer norms, post-norms, gates and experts: fused and unfused agree") {
    Weights weights;
    Graph g;
    const int rope = g.add_rope({rope_frequencies({.n_dims = head_dim, .base = 100.0f}, {}), RopeStyle::adjacent});
    constexpr int n_experts = 6;
    const std::vector<float> expert_bias{0.1f, -0.2f, 0.0f, 0.3f, 0.0f, 0.1f};
    Tensor x = g.scale(g.add(g.embed(weights.make({n_vocab, n_embd}, 1.0f)), g.embed_positions(weights.make({40, n_embd}, 1.0f))), 1.5f);
    for (int layer = 0; layer < n_layers; ++layer) {
        const Tensor h = g.layer_norm(x, weights.make({n_embd}, 1.0f), layer ? weights.make({n_embd}) : TensorView{}, 1e-5f);
        const auto project = [&](int width) { return g.matmul(weights.make({width, n_embd}), h); };
        Tensor q = g.heads(project(n_heads * head_dim), n_heads), k = g.heads(project(n_kv_heads * head_dim), n_kv_heads);
        const Tensor v = g.heads(project(n_kv_heads * head_dim), n_kv_heads);
        q = g.rope(g.rms_norm(q, weights.make({head_dim}, 1.0f), 1e-5f), rope);
        k = g.rope(g.rms_norm(k, weights.make({head_dim}, 1.0f), 1e-5f), rope);
        const Attention how{.scale = 0.25f, .window = layer ? 0 : 7, .softcap = layer ? 3.0f : 0.0f, .sinks = weights.make({n_heads})};
        const Tensor a = g.matmul(weights.make({n_embd, n_heads * head_dim}), g.attend(q, k, v, layer, how));
        x = g.add(x, g.rms_norm(a, weights.make({n_embd}, 1.0f), 1e-5f));
        const Tensor f = g.rms_norm(x, weights.make({n_embd}, 1.0f), 1e-5f);
        const Experts experts{{.gate = weights.make({n_experts, n_ff, n_embd}),
                               .up = weights.make({n_experts, n_ff, n_embd}),
                               .down = weights.make({n_experts, n_embd, n_ff}),
                               .gate_bias = weights.make({n_experts, n_ff}),
                               .down_bias = weights.make({n_experts, n_embd}),
                               .gating = layer ? Gating::clamped_swiglu : Gating::silu},
                              {.n_experts = n_experts, .n_used = 2, .normalize = true, .choice_bias = expert_bias.data()}};
        const Tensor shared = g.matmul(weights.make({n_embd, n_ff}),
                                       g.multiply(g.activate(g.matmul(weights.make({n_ff, n_embd}), f), {ActivationKind::gelu_tanh}),
                                                  g.matmul(weights.make({n_ff, n_embd}), f)));
        const Tensor share = g.activate(g.matmul(weights.make({1, n_embd}), f), {ActivationKind::sigmoid});
        x = g.add(x, g.experts(f, g.matmul(weights.make({n_experts, n_embd}), f), experts));
        x = g.add(x, g.multiply(shared, share));
        const Tensor plain =
            g.activate(g.add_bias(g.matmul(weights.make({n_ff, n_embd}), x), weights.make({n_ff})), {ActivationKind::gelu});
        x = g.add(x, g.add_bias(g.matmul(weights.make({n_embd, n_ff}), plain), weights.make({n_embd})));
    }
    const Tensor last = g.layer_norm(g.select_outputs(x), weights.make({n_embd}, 1.0f), weights.make({n_embd}), 1e-5f);
    g.set_result(g.activate(g.matmul(weights.make({n_vocab, n_embd}), last), {ActivationKind::softcap, 2.0f}));
    const std::vector<float> plain = run(g, Fusion::off, Isa::scalar, 1);
    check_close(plain, run(g, Fusion::on, Isa::scalar, 1), 1e-4);
    check_close(plain, run(g, Fusion::on, best_isa(), 3), 1e-3);
    const Plan plan = lower(g);
    // Each layer: qkv, attend, output, norm+add, norm, router with the shared gate, shared gate and up, shared down, experts+add, multiply,
    // add, up, down.
    CHECK(count(plan, Step(NormStep{}).index()) == n_layers * 2);
    CHECK(count(plan, Step(ExpertsStep{}).index()) == n_layers);
}

TEST_CASE("a layer of experts is the sum over the chosen ones, whatever way tokens fall on them") {
    Weights weights;
    constexpr int n_experts = 5, n_used = 3, n_tokens = 70;
    const Experts experts{{.gate = weights.make({n_experts, n_ff, n_embd}),
                           .up = weights.make({n_experts, n_ff, n_embd}),
                           .down = weights.make({n_experts, n_embd, n_ff}),
                           .up_bias = weights.make({n_experts, n_ff}),
                           .down_bias = weights.make({n_experts, n_embd})},
                          {.n_experts = n_experts, .n_used = n_used}};
    const TensorView x = weights.make({n_tokens, n_embd}, 1.0f), logits = weights.make({n_tokens, n_experts}, 2.0f);
    const auto value = [](const TensorView& view, int64_t at) { return static_cast<double>(view.f32()[at]); };
    std::vector<float> expected;
    for (int64_t t = 0; t < n_tokens; ++t) {
        int32_t chosen[n_used];
        float shares[n_used];
        choose_experts(experts.routing, logits.f32() + t * n_experts, chosen, shares);
        std::vector<double> sum(n_embd);
        for (int i = 0; i < n_used; ++i) {
            const int64_t e = chosen[i];
            std::vector<double> hidden(n_ff);
            for (int64_t r = 0; r < n_ff; ++r) {
                double gate = 0, up = value(experts.weights.up_bias, e * n_ff + r);
                for (int64_t c = 0; c < n_embd; ++c) {
                    gate += value(experts.weights.gate, (e * n_ff + r) * n_embd + c) * value(x, t * n_embd + c);
                    up += value(experts.weights.up, (e * n_ff + r) * n_embd + c) * value(x, t * n_embd + c);
                }
                hidden[static_cast<size_t>(r)] = gate / (1 + std::exp(-gate)) * up;
            }
            for (int64_t r = 0; r < n_embd; ++r) {
                double down = value(experts.weights.down_bias, e * n_embd + r);
                for (int64_t c = 0; c < n_ff; ++c)
                    down += value(experts.weights.down, (e * n_embd + r) * n_ff + c) * hidden[static_cast<size_t>(c)];
                sum[static_cast<size_t>(r)] += down * static_cast<double>(shares[i]);
            }
        }
        for (const double each : sum) expected.push_back(static_cast<float>(each));
    }
    for (const Isa isa : {Isa::scalar, best_isa()})
        for (const int64_t n : {1, 9, 70}) {
            const auto device = make_cpu_device(2, isa);
            device->reserve({.n_tokens = n, .max_n_in = n_embd, .n_expert_rows = n * n_used, .expert_n_embd = n_embd, .expert_n_ff = n_ff});
            std::vector<float> out(static_cast<size_t>(n * n_embd)), added(out.size(), 1.0f);
            device->experts({.weights = experts.weights,
                             .routing = experts.routing,
                             .n_tokens = n,
                             .x = {const_cast<float*>(x.f32()), n_embd},
                             .logits = {const_cast<float*>(logits.f32()), n_experts},
                             .out = {out.data(), n_embd},
                             .add_to = added.data()});
            check_close(out, {expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(out.size())}, 2e-5);
            for (size_t i = 0; i < out.size(); ++i) CHECK(added[i] == 1.0f + out[i]);
        }
}

TEST_CASE("latent attention: products of c made in q and in the result are those of whole keys and values") {
    constexpr int rank = 24, n_rope = 8, nope = 16, value_dim = 12, heads = 3;
    Weights weights;
    const TensorView table = weights.make({n_vocab, n_embd}, 1.0f), wq = weights.make({heads * (nope + n_rope), n_embd});
    const TensorView wkv = weights.make({rank + n_rope, n_embd}), wk_b = weights.make({heads, rank, nope}),
                     wv_b = weights.make({heads, value_dim, rank});
    Graph g;
    const int rope = g.add_rope({rope_frequencies({.n_dims = n_rope, .base = 100.0f}, {}), RopeStyle::adjacent});
    const Tensor x = g.embed(table), q = g.heads(g.matmul(wq, x), heads), latent = g.matmul(wkv, x);
    const Tensor turned = g.join_heads(g.head_matmul(wk_b, g.slice_heads(q, 0, nope)), g.rope(g.slice_heads(q, nope, n_rope), rope));
    const Tensor k = g.join_heads(g.slice_heads(latent, 0, rank), g.rope(g.slice_heads(latent, rank, n_rope), rope));
    g.set_result(g.select_outputs(g.head_matmul(wv_b, g.slice_heads(g.attend(turned, k, k, 0, {.scale = 0.3f}), 0, rank))));
    const std::vector<int32_t> tokens{3, 7, 1, 30, 12}, pages{0};
    const auto evaluate = [&](Fusion fusion, Isa isa) {
        const auto device = make_cpu_device(2, isa);
        Executor executor(g, *device, {.n_tokens = 8, .n_outputs = 4}, fusion);
        const KvShape shape{.n_layers = 1,
                            .n_kv_heads = 1,
                            .head_dim = rank + n_rope,
                            .key_type = KvType::f32,
                            .value_type = KvType::f32,
                            .values_are_keys = true};
        CHECK(KvCache::page_bytes(shape) == 64 * (rank + n_rope) * sizeof(float));
        KvCache cache(*device, shape, 1);
        const std::vector<int32_t> last{4};
        const SequenceSpan sequence{.n_tokens = 5, .page_table = pages.data()};
        const auto result = executor.run({.tokens = tokens, .sequences = {&sequence, 1}, .outputs = last}, cache);
        return std::vector<float>(result.begin(), result.end());
    };
    // Keys and values of each head written out, in double.
    const auto at = [](const TensorView& view, int64_t i) { return static_cast<double>(view.f32()[i]); };
    const auto product = [&](const TensorView& w, int64_t row, int token) {
        double sum = 0;
        for (int64_t i = 0; i < n_embd; ++i) sum += at(w, row * n_embd + i) * at(table, token * n_embd + i);
        return sum;
    };
    const auto turn = [&](std::vector<double> v, int position) {
        for (size_t i = 0; i < v.size(); i += 2) {
            const double angle = position * std::pow(100.0, -static_cast<double>(i) / n_rope), a = v[i], b = v[i + 1];
            v[i] = a * std::cos(angle) - b * std::sin(angle);
            v[i + 1] = a * std::sin(angle) + b * std::cos(angle);
        }
        return v;
    };
    std::vector<float> expected;
    for (int64_t h = 0; h < heads; ++h) {
        std::vector<double> scores, sum(value_dim);
        std::vector<std::vector<double>> c;
        double total = 0;
        for (int p = 0; p < 5; ++p) {
            double score = 0;
            std::vector<double> q_rope, k_rope, cp;
            for (int64_t i = 0; i < rank; ++i) cp.push_back(product(wkv, i, tokens[static_cast<size_t>(p)]));
            for (int64_t i = 0; i < n_rope; ++i) q_rope.push_back(product(wq, h * (nope + n_rope) + nope + i, tokens[4]));
            for (int64_t i = 0; i < n_rope; ++i) k_rope.push_back(product(wkv, rank + i, tokens[static_cast<size_t>(p)]));
            q_rope = turn(q_rope, 4), k_rope = turn(k_rope, p);
            for (size_t i = 0; i < n_rope; ++i) score += q_rope[i] * k_rope[i];
            for (int64_t i = 0; i < nope; ++i) {
                double key = 0;
                for (int64_t r = 0; r < rank; ++r) key += at(wk_b, (h * rank + r) * nope + i) * cp[static_cast<size_t>(r)];
                score += key * product(wq, h * (nope + n_rope) + i, tokens[4]);
            }
            scores.push_back(std::exp(score * 0.3));
            total += scores.back();
            c.push_back(cp);
        }
        for (int64_t i = 0; i < value_dim; ++i) {
            double result = 0;
            for (size_t p = 0; p < 5; ++p)
                for (int64_t r = 0; r < rank; ++r)
                    result += scores[p] / total * at(wv_b, (h * value_dim + i) * rank + r) * c[p][static_cast<size_t>(r)];
            expected.push_back(static_cast<float>(result));
        }
    }
    for (const Fusion fusion : {Fusion::on, Fusion::off})
        for (const Isa isa : {Isa::scalar, best_isa()}) check_close(evaluate(fusion, isa), expected, 1e-4);
}
