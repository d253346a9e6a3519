#include "models/deepseek2.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/layers/blocks.h"
#include "models/layers/decoder_checkpoint.h"
#include "models/layers/key_reader.h"

namespace quern {
namespace {

using L = DeepSeek2Layer;
using Table = std::vector<WeightRow<DeepSeek2Layer>>;

void add_attention(Table& table, const DecoderConfig& c) {
    const LatentAttention& a = c.latent;
    const int64_t n_rope = c.rope.n_dims, q_width = static_cast<int64_t>(c.n_heads) * (a.nope_dim + n_rope);
    if (a.q_rank > 0)
        table.insert(table.end(), {{&L::wq_a, "attn_q_a.weight", "self_attn.q_a_proj.weight", {a.q_rank, c.n_embd}},
                                   {&L::q_a_norm, "attn_q_a_norm.weight", "self_attn.q_a_layernorm.weight", {a.q_rank}},
                                   {&L::wq_b, "attn_q_b.weight", "self_attn.q_b_proj.weight", {q_width, a.q_rank}}});
    else
        table.push_back({&L::wq, "attn_q.weight", "self_attn.q_proj.weight", {q_width, c.n_embd}});
    using enum Presence;
    table.insert(
        table.end(),
        {{&L::wkv_a, "attn_kv_a_mqa.weight", "self_attn.kv_a_proj_with_mqa.weight", {a.kv_rank + n_rope, c.n_embd}},
         {&L::kv_a_norm, "attn_kv_a_norm.weight", "self_attn.kv_a_layernorm.weight", {a.kv_rank}},
         {&L::wk_b, "attn_k_b.weight", "self_attn.kv_b_proj.weight", {c.n_heads, a.kv_rank, a.nope_dim}, required, HfForm::latent_keys},
         {&L::wv_b, "attn_v_b.weight", "self_attn.kv_b_proj.weight", {c.n_heads, a.value_dim, a.kv_rank}, required, HfForm::latent_values},
         {&L::wo, "attn_output.weight", "self_attn.o_proj.weight", {c.n_embd, static_cast<int64_t>(c.n_heads) * a.value_dim}}});
}

void add_experts(Table& table, const DecoderConfig& c) {
    using enum Presence;
    const int64_t n = c.routing.n_experts;
    table.insert(
        table.end(),
        {{&L::router, "ffn_gate_inp.weight", "mlp.gate.weight", {n, c.n_embd}},
         {&L::router_bias, "exp_probs_b.bias", "mlp.gate.e_score_correction_bias", {n}, optional},
         {&L::gate_exps,
          "ffn_gate_exps.weight",
          "mlp.experts.{}.gate_proj.weight",
          {n, c.n_ff_expert, c.n_embd},
          required,
          HfForm::stacked},
         {&L::up_exps, "ffn_up_exps.weight", "mlp.experts.{}.up_proj.weight", {n, c.n_ff_expert, c.n_embd}, required, HfForm::stacked},
         {&L::down_exps,
          "ffn_down_exps.weight",
          "mlp.experts.{}.down_proj.weight",
          {n, c.n_embd, c.n_ff_expert},
          required,
          HfForm::stacked}});
    if (c.n_ff_shared > 0)
        table.insert(table.end(),
                     {{&L::shared_gate, "ffn_gate_shexp.weight", "mlp.shared_experts.gate_proj.weight", {c.n_ff_shared, c.n_embd}},
                      {&L::shared_up, "ffn_up_shexp.weight", "mlp.shared_experts.up_proj.weight", {c.n_ff_shared, c.n_embd}},
                      {&L::shared_down, "ffn_down_shexp.weight", "mlp.shared_experts.down_proj.weight", {c.n_embd, c.n_ff_shared}}});
}

}  // namespace

Table DeepSeek2Layer::table(const DecoderConfig& c, int layer) {
    Table table{{&L::attn_norm, "attn_norm.weight", "input_layernorm.weight", {c.n_embd}},
                {&L::ffn_norm, "ffn_norm.weight", "post_attention_layernorm.weight", {c.n_embd}}};
    add_attention(table, c);
    if (layer >= c.n_dense_layers)
        add_experts(table, c);
    else
        table.insert(table.end(), {{&L::gate, "ffn_gate.weight", "mlp.gate_proj.weight", {c.n_ff, c.n_embd}},
                                   {&L::up, "ffn_up.weight", "mlp.up_proj.weight", {c.n_ff, c.n_embd}},
                                   {&L::down, "ffn_down.weight", "mlp.down_proj.weight", {c.n_embd, c.n_ff}}});
    return table;
}

DecoderConfig DeepSeek2::read_config(const GgufFile& file) {
    const KeyReader keys(file);
    DecoderConfig config = read_decoder_config(file, RopeStyle::adjacent);
    LatentAttention& latent = config.latent;
    latent.kv_rank = keys.integer("attention.kv_lora_rank", 1, most_head_dim);
    latent.q_rank = keys.optional_integer("attention.q_lora_rank", 0, 1 << 20).value_or(0);
    if (!keys.has("attention.key_length_mla") || file.find_tensor("blk.0.attn_kv_b.weight"))
        keys.fail("its attention is in the form of files before April 2025 (attn_kv_b); convert the model again");
    const int64_t key_dim = keys.integer("attention.key_length_mla", 1, 4096);
    latent.value_dim = static_cast<int>(keys.integer("attention.value_length_mla", 1, 4096));
    latent.nope_dim = static_cast<int>(key_dim) - config.rope.n_dims;
    if (latent.nope_dim < 1 || config.n_kv_heads != 1 || latent.kv_rank + config.rope.n_dims != config.head_dim)
        keys.fail(concat("heads of ", config.head_dim, " values with ", key_dim, " for keys, ", config.rope.n_dims,
                         " that turn and a rank of ", latent.kv_rank, " do not fit together"));
    config.attention_scale = 1.0f / std::sqrt(static_cast<float>(key_dim));
    // YaRN's growth is in the scale, for all of a head, instead of in the angles.
    const float growth = keys.real("rope.scaling.yarn_log_multiplier", 0.0, 0.0, 10.0);
    if (growth > 0.0f && config.rope.scaling == RopeScaling::yarn && config.rope.factor > 1.0f) {
        const float stretch = std::log(config.rope.factor), magnitude = 1.0f + growth * stretch;
        config.attention_scale *= magnitude * magnitude;
        config.rope.yarn_attn_factor /= 1.0f + 0.1f * stretch;
    }
    config.n_dense_layers = config.n_layers;
    if (config.routing.n_experts > 0)
        config.n_dense_layers = static_cast<int>(keys.optional_integer("leading_dense_block_count", 0, config.n_layers).value_or(0));
    config.n_ff_shared = keys.optional_integer("expert_shared_count", 0, 1024).value_or(0) * config.n_ff_expert;
    return config;
}

Tensor DeepSeek2::forward(Graph& g, const DeepSeek2Layer& w, Tensor x, int layer, int rope) const {
    x = g.add(x, attention(g, w, g.rms_norm(x, w.attn_norm, config_.norm_eps), layer, rope));
    return g.add(x, feed_forward(g, w, g.rms_norm(x, w.ffn_norm, config_.norm_eps)));
}

Tensor DeepSeek2::attention(Graph& g, const DeepSeek2Layer& w, Tensor x, int layer, int rope) const {
    const LatentAttention& a = config_.latent;
    const int64_t n_rope = config_.rope.n_dims;
    const Tensor from = a.q_rank > 0 ? g.rms_norm(g.matmul(w.wq_a, x), w.q_a_norm, config_.norm_eps) : x;
    const Tensor heads = g.heads(g.matmul(a.q_rank > 0 ? w.wq_b : w.wq, from), config_.n_heads);  // [n_tokens, n_heads, nope_dim + n_rope]
    const Tensor q = g.join_heads(g.head_matmul(w.wk_b, g.slice_heads(heads, 0, a.nope_dim)),
                                  g.rope(g.slice_heads(heads, a.nope_dim, n_rope), rope));  // [n_tokens, n_heads, kv_rank + n_rope]
    const Tensor latent = g.matmul(w.wkv_a, x);                                             // [n_tokens, kv_rank + n_rope]
    const Tensor k = g.join_heads(g.rms_norm(g.slice_heads(latent, 0, a.kv_rank), w.kv_a_norm, config_.norm_eps),
                                  g.rope(g.slice_heads(latent, a.kv_rank, n_rope), rope));
    const Tensor attended = g.attend(q, k, k, layer, {.scale = config_.attention_scale});  // of values like k; only c is wanted
    return g.matmul(w.wo, g.head_matmul(w.wv_b, g.slice_heads(attended, 0, a.kv_rank)));   // [n_tokens, n_embd]
}

Tensor DeepSeek2::feed_forward(Graph& g, const DeepSeek2Layer& w, Tensor x) const {
    if (!w.router.data) return swiglu_feed_forward(g, w.gate, w.up, w.down, x);
    Routing routing = config_.routing;
    routing.choice_bias = w.router_bias.f32();
    const Experts experts{{.gate = w.gate_exps, .up = w.up_exps, .down = w.down_exps}, routing};
    const Tensor chosen = g.experts(x, g.matmul(w.router, x), experts);
    if (!w.shared_gate.data) return chosen;
    return g.add(chosen, swiglu_feed_forward(g, w.shared_gate, w.shared_up, w.shared_down, x));
}

namespace {

constexpr std::string_view deepseek2_classes[] = {"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"};

void set_routing_keys(const CheckpointKeys& keys, bool is_v3) {
    const CheckpointConfig& config = keys.config;
    const std::string method = config.string({"topk_method"}).value_or(is_v3 ? "noaux_tc" : "greedy");
    if (method != "noaux_tc" && method != "group_limited_greedy" && method != "greedy")
        config.fail("topk_method: quern knows greedy, group_limited_greedy and noaux_tc");
    const std::string scoring = config.string({"scoring_func"}).value_or(is_v3 ? "sigmoid" : "softmax");
    if (scoring != "softmax" && scoring != "sigmoid") config.fail("scoring_func: quern knows softmax and sigmoid");
    keys.set("expert_gating_func", uint32_t{scoring == "sigmoid" ? 2u : 1u});
    keys.set("expert_weights_norm", config.boolean({"norm_topk_prob"}).value_or(is_v3));
    keys.real("expert_weights_scale", {"routed_scaling_factor"});
    keys.integer("expert_shared_count", {"n_shared_experts"});
    keys.integer("leading_dense_block_count", {"first_k_dense_replace"});
    if (method == "greedy") return;
    keys.integer("expert_group_count", {"n_group"});
    keys.integer("expert_group_used_count", {"topk_group"});
}

// How much YaRN makes the scores of a head grow, and, if that is another number, what turns in it.
void set_yarn_keys(const CheckpointKeys& keys) {
    const CheckpointConfig& config = keys.config;
    const auto of_all = config.real({"rope_scaling.mscale_all_dim", "rope_parameters.mscale_all_dim"});
    if (!of_all) return;
    keys.set("rope.scaling.yarn_log_multiplier", static_cast<float>(0.1 * *of_all));
    const double turning = config.real({"rope_scaling.mscale", "rope_parameters.mscale"}).value_or(0.0);
    const double factor = config.real({"rope_scaling.factor", "rope_parameters.factor"}).value_or(1.0);
    if (*of_all == 0.0 || turning == 0.0 || turning == *of_all || !(factor > 1.0)) return;
    const auto growth = [&](double scale) { return 1.0 + 0.1 * scale * std::log(factor); };
    keys.set("rope.scaling.attn_factor", static_cast<float>(growth(turning) / growth(*of_all)));
}

void set_deepseek2_keys(const CheckpointKeys& keys) {
    const CheckpointConfig& config = keys.config;
    set_decoder_keys(keys);
    const auto size = [&](std::string_view name) {
        const int64_t n = config.require_integer({name});
        if (n < 1 || n > 1 << 16) config.fail(concat(name, " is ", n));
        return static_cast<uint32_t>(n);
    };
    const uint32_t rank = size("kv_lora_rank"), n_rope = size("qk_rope_head_dim");
    keys.set("attention.head_count_kv", uint32_t{1});  // one vector for all heads
    keys.set("attention.key_length", rank + n_rope);
    keys.set("attention.value_length", rank);
    keys.set("attention.key_length_mla", size("qk_nope_head_dim") + n_rope);
    keys.set("attention.value_length_mla", size("v_head_dim"));
    keys.set("attention.kv_lora_rank", rank);
    keys.integer("attention.q_lora_rank", {"q_lora_rank"});
    keys.set("rope.dimension_count", n_rope);
    set_yarn_keys(keys);
    const std::vector<std::string> classes = config.strings({"architectures"});
    set_routing_keys(keys, std::find(classes.begin(), classes.end(), deepseek2_classes[1]) != classes.end());
}

void list_deepseek2_tensors(const GgufFile& keys, const CheckpointConfig&, CheckpointTensors& tensors) {
    list_decoder_tensors<DeepSeek2Layer>(DeepSeek2::read_config(keys), tensors);
}

}  // namespace

const CheckpointFormat DeepSeek2::checkpoint{
    .classes = deepseek2_classes, .set_keys = set_deepseek2_keys, .list_tensors = list_deepseek2_tensors};

}  // namespace quern
