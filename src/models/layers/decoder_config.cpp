#include "models/layers/decoder.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/attention/attention.h"
#include "models/layers/key_reader.h"

namespace quern {
namespace {

RopeConfig read_rope(const KeyReader& keys, const DecoderConfig& config, RopeStyle style) {
    RopeConfig rope{.style = style};
    rope.n_dims = static_cast<int>(keys.optional_integer("rope.dimension_count", 2, config.head_dim).value_or(config.head_dim));
    if (rope.n_dims % 2) keys.fail("rope.dimension_count is odd");
    rope.base = keys.real("rope.freq_base", 10000.0, 1.0, 1e12);
    const std::string_view type = keys.string("rope.scaling.type", "");
    const float old_factor = keys.real("rope.scale_linear", 1.0, 1e-6, 1e6);
    rope.factor = keys.real("rope.scaling.factor", old_factor, 0.0, 1e6);
    if (rope.factor == 0.0f) rope.factor = 1.0f;  // some files write 0 for "none"
    if (type == "yarn") {
        rope.scaling = RopeScaling::yarn;
    } else if (type == "linear" || (type.empty() && rope.factor != 1.0f)) {
        rope.scaling = RopeScaling::linear;
    } else if (type != "" && type != "none" && type != "longrope") {
        keys.fail(concat("rope.scaling.type '", type, "' is not known; quern knows none, linear, yarn, longrope"));
    }
    rope.original_context =
        static_cast<int>(keys.optional_integer("rope.scaling.original_context_length", 1, 1 << 30).value_or(config.n_ctx_train));
    rope.yarn_attn_factor = keys.real("rope.scaling.attn_factor", 1.0, 0.0, 1e3);
    rope.yarn_ext_factor = keys.real("rope.scaling.yarn_ext_factor", 1.0, 0.0, 1e3);
    rope.yarn_beta_fast = keys.real("rope.scaling.yarn_beta_fast", 32.0, 0.0, 1e6);
    rope.yarn_beta_slow = keys.real("rope.scaling.yarn_beta_slow", 1.0, 0.0, 1e6);
    return rope;
}

void read_heads(const KeyReader& keys, DecoderConfig& config) {
    config.n_heads = static_cast<int>(keys.integer("attention.head_count", 1, 4096));
    config.n_kv_heads = static_cast<int>(keys.optional_integer("attention.head_count_kv", 1, config.n_heads).value_or(config.n_heads));
    if (config.n_heads % config.n_kv_heads)
        keys.fail(concat("attention.head_count ", config.n_heads, " is no multiple of head_count_kv ", config.n_kv_heads));
    const auto head_dim = keys.optional_integer("attention.key_length", 1, most_head_dim);
    if (!head_dim && config.n_embd % config.n_heads)
        keys.fail(concat("embedding_length ", config.n_embd, " is no multiple of attention.head_count ", config.n_heads));
    config.head_dim = static_cast<int>(head_dim.value_or(config.n_embd / config.n_heads));
    if (config.head_dim % 8 || config.head_dim > most_head_dim)
        keys.fail(concat("heads of ", config.head_dim, " values: quern takes multiples of 8 up to ", most_head_dim));
    config.value_dim = static_cast<int>(keys.optional_integer("attention.value_length", 1, 1 << 20).value_or(config.head_dim));
}

// Which of these a family's experts have by default is its own business: it sets `routing` before or after.
void read_experts(const KeyReader& keys, DecoderConfig& config) {
    Routing& routing = config.routing;
    routing.n_experts = static_cast<int>(keys.optional_integer("expert_count", 0, most_experts).value_or(0));
    if (routing.n_experts == 0) return;
    routing.n_used = static_cast<int>(keys.integer("expert_used_count", 1, routing.n_experts));
    routing.factor = keys.real("expert_weights_scale", 1.0, 0.0, 1e4);
    if (routing.factor == 0.0f) routing.factor = 1.0f;  // some files write 0 for "none"
    routing.normalize = keys.boolean("expert_weights_norm", false);
    const int64_t function = keys.optional_integer("expert_gating_func", 0, 3).value_or(0);
    if (function == 2) routing.scoring = ExpertScoring::sigmoid;
    if (function == 3) routing.normalize = true;  // the softmax over the chosen
    routing.n_groups =
        static_cast<int>(std::max<int64_t>(1, keys.optional_integer("expert_group_count", 0, routing.n_experts).value_or(1)));
    routing.n_groups_used =
        static_cast<int>(keys.optional_integer("expert_group_used_count", 0, routing.n_groups).value_or(routing.n_groups));
    if (routing.n_groups_used == 0) routing.n_groups_used = routing.n_groups;
    if (routing.n_experts % routing.n_groups || routing.n_used > routing.n_experts / routing.n_groups * routing.n_groups_used)
        keys.fail(concat(routing.n_used, " of ", routing.n_experts, " experts from ", routing.n_groups_used, " of ", routing.n_groups,
                         " groups: that does not fit"));
    config.n_ff_expert = keys.optional_integer("expert_feed_forward_length", 1, 1 << 24).value_or(config.n_ff);
    config.n_ff_shared = keys.optional_integer("expert_shared_feed_forward_length", 0, 1 << 24).value_or(0);
}

}  // namespace

DecoderConfig read_decoder_config(const GgufFile& file, RopeStyle rope_style) {
    const KeyReader keys(file);
    DecoderConfig config;
    config.n_layers = static_cast<int>(keys.integer("block_count", 1, 1024));
    config.n_embd = keys.integer("embedding_length", 1, 1 << 20);
    config.n_ff = keys.integer("feed_forward_length", 1, 1 << 24);
    config.n_ctx_train = keys.integer("context_length", 1, 1 << 30);
    read_heads(keys, config);
    read_experts(keys, config);
    const float layer_norm_eps = keys.real("attention.layer_norm_epsilon", 1e-5, 0.0, 1.0);
    config.norm_eps = keys.real("attention.layer_norm_rms_epsilon", static_cast<double>(layer_norm_eps), 0.0, 1.0);
    config.window = keys.optional_integer("attention.sliding_window", 0, 1 << 30).value_or(0);
    config.attention_softcap = keys.real("attn_logit_softcapping", 0.0, 0.0, 1e6);
    config.final_softcap = keys.real("final_logit_softcapping", 0.0, 0.0, 1e6);
    config.attention_scale = keys.real("attention.scale", 0.0, 0.0, 1e6);
    if (config.attention_scale == 0.0f) config.attention_scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim));
    config.rope = read_rope(keys, config, rope_style);
    const GgufTensor* table = file.find_tensor("token_embd.weight");
    if (!table || table->view.shape.rank() != 2) keys.fail("tensor token_embd.weight is missing or is no matrix");
    config.n_vocab = table->view.shape[0];
    if (config.n_vocab > 1 << 24) keys.fail(concat("token_embd.weight has ", config.n_vocab, " rows: more than any vocabulary"));
    return config;
}

std::vector<WeightRow<DecoderWeights>> DecoderWeights::table(const DecoderConfig& c) {
    return {
        {&DecoderWeights::token_embd, "token_embd.weight", "model.embed_tokens.weight", {c.n_vocab, c.n_embd}},
        {&DecoderWeights::output_norm, "output_norm.weight", "model.norm.weight", {c.n_embd}},
        {&DecoderWeights::output, "output.weight", "lm_head.weight", {c.n_vocab, c.n_embd}, Presence::optional},
    };
}

void require_no_experts(const GgufFile& file, const DecoderConfig& config) {
    if (config.routing.n_experts > 0)
        throw ModelError(
            concat(file.path(), ": expert_count is ", config.routing.n_experts, ", but this architecture has no mixture of experts"));
}

void require_equal_heads(const GgufFile& file, const DecoderConfig& config) {
    if (config.value_dim != config.head_dim && !config.latent.used())
        throw ModelError(concat(file.path(), ": attention.value_length is ", config.value_dim, " and key_length ", config.head_dim,
                                ", but this architecture has heads of one size"));
}

void require_experts(const GgufFile& file, const DecoderConfig& config) {
    if (config.routing.n_experts == 0)
        throw ModelError(concat(file.path(), ": expert_count is missing or 0, but this architecture is a mixture of experts"));
}

std::span<const float> read_factors(const GgufFile& file, const char* name, const DecoderConfig& config) {
    const int64_t n_pairs = config.rope.n_dims / 2;
    const TensorView factors = find_weight(file, name, {n_pairs}, Presence::optional);
    if (!factors.data) return {};
    for (int64_t i = 0; i < n_pairs; ++i)
        if (!(factors.f32()[i] > 0.0f)) throw ModelError(concat(file.path(), ": tensor ", name, " holds ", factors.f32()[i], " at ", i));
    return {factors.f32(), static_cast<size_t>(n_pairs)};
}

}  // namespace quern
