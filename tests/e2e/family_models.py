"""Tiny random models of each family that is not Llama's or Qwen 2's, written as GGUF with llama.cpp's names and keys (the gguf package's map)."""

import math

import gguf
import numpy as np
import qwen1_reference
import torch
import transformers as hf
from tiny_models import add_byte_vocabulary, permute

SIZES = dict(vocab_size=259, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=512,
             pad_token_id=None, bos_token_id=1, eos_token_id=2)


def sizes(**changes):
    return {**SIZES, **changes}


def longrope(n_pairs, trained):
    return dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=1.0, short_factor=[1.0 + 0.1 * i for i in range(n_pairs)],
                long_factor=[1.5 + 0.7 * i for i in range(n_pairs)], original_max_position_embeddings=trained)


GEMMA3_ROPE = dict(sliding_attention=dict(rope_type="default", rope_theta=10000.0), full_attention=dict(rope_type="linear", rope_theta=1000000.0, factor=8.0))

# name: architecture, class, configuration
MODELS = {
    "qwen3": ("qwen3", hf.Qwen3ForCausalLM, lambda: hf.Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=24)),
    "mistral-window": ("llama", hf.MistralForCausalLM, lambda: hf.MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=40)),
    "smollm3": ("smollm3", hf.SmolLM3ForCausalLM, lambda: hf.SmolLM3Config(**sizes(num_hidden_layers=5), num_key_value_heads=2)),
    "gemma2-uncapped": ("gemma2", hf.Gemma2ForCausalLM, lambda: hf.Gemma2Config(
        **sizes(num_hidden_layers=2), num_key_value_heads=2, head_dim=32, sliding_window=24, query_pre_attn_scalar=32, attn_logit_softcapping=None, final_logit_softcapping=None)),
    "gemma3-capped": ("gemma3", hf.Gemma3ForCausalLM, lambda: hf.Gemma3TextConfig(
        **sizes(num_hidden_layers=7), num_key_value_heads=1, head_dim=32, sliding_window=24, query_pre_attn_scalar=32, rope_parameters=GEMMA3_ROPE,
        final_logit_softcapping=5.0)),
    "gemma": ("gemma", hf.GemmaForCausalLM, lambda: hf.GemmaConfig(**SIZES, num_key_value_heads=1, head_dim=32)),
    "gemma2": ("gemma2", hf.Gemma2ForCausalLM, lambda: hf.Gemma2Config(
        **sizes(num_hidden_layers=4), num_key_value_heads=2, head_dim=32, sliding_window=24, query_pre_attn_scalar=32, attn_logit_softcapping=2.0, final_logit_softcapping=5.0)),
    "gemma3": ("gemma3", hf.Gemma3ForCausalLM, lambda: hf.Gemma3TextConfig(
        **sizes(num_hidden_layers=7), num_key_value_heads=1, head_dim=32, sliding_window=24, query_pre_attn_scalar=32, rope_parameters=GEMMA3_ROPE)),
    "phi3": ("phi3", hf.Phi3ForCausalLM, lambda: hf.Phi3Config(**SIZES, num_key_value_heads=2)),
    "phi3-window": ("phi3", hf.Phi3ForCausalLM, lambda: hf.Phi3Config(**SIZES, num_key_value_heads=4, sliding_window=30)),
    "phi3-short": ("phi3", hf.Phi3ForCausalLM, lambda: hf.Phi3Config(
        **SIZES, num_key_value_heads=2, original_max_position_embeddings=256, rope_parameters=longrope(8, 256))),
    "phi3-long": ("phi3", hf.Phi3ForCausalLM, lambda: hf.Phi3Config(
        **SIZES, num_key_value_heads=2, original_max_position_embeddings=128, rope_parameters=longrope(8, 128))),
    "gpt2": ("gpt2", hf.GPT2LMHeadModel, lambda: hf.GPT2Config(
        vocab_size=259, n_embd=64, n_layer=3, n_head=4, n_positions=512, bos_token_id=1, eos_token_id=2)),
    "starcoder2": ("starcoder2", hf.Starcoder2ForCausalLM, lambda: hf.Starcoder2Config(**SIZES, num_key_value_heads=2, sliding_window=None)),
    "starcoder2-tied": ("starcoder2", hf.Starcoder2ForCausalLM, lambda: hf.Starcoder2Config(
        **SIZES, num_key_value_heads=1, sliding_window=None, tie_word_embeddings=True)),
}

YARN_GPT_OSS = dict(rope_type="yarn", rope_theta=150000.0, factor=8.0, beta_fast=32.0, beta_slow=1.0, truncate=False, original_max_position_embeddings=64)
PLAIN_ROPE = dict(rope_type="default", rope_theta=10000.0)
LATENT = dict(num_key_value_heads=4, kv_lora_rank=32, qk_rope_head_dim=16, qk_nope_head_dim=24, v_head_dim=24, moe_intermediate_size=32)
YARN_DEEPSEEK = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0,
                     original_max_position_embeddings=64)

MODELS |= {
    "mixtral": ("llama", hf.MixtralForCausalLM, lambda: hf.MixtralConfig(**SIZES, num_key_value_heads=2, num_local_experts=6, num_experts_per_tok=2)),
    "qwen2moe": ("qwen2moe", hf.Qwen2MoeForCausalLM, lambda: hf.Qwen2MoeConfig(
        **SIZES, num_key_value_heads=2, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=32, shared_expert_intermediate_size=48)),
    "qwen3moe": ("qwen3moe", hf.Qwen3MoeForCausalLM, lambda: hf.Qwen3MoeConfig(
        **SIZES, num_key_value_heads=2, head_dim=16, num_experts=8, num_experts_per_tok=3, moe_intermediate_size=32, norm_topk_prob=True)),
    "gpt-oss": ("gpt-oss", hf.GptOssForCausalLM, lambda: hf.GptOssConfig(
        **SIZES, num_key_value_heads=2, head_dim=16, num_local_experts=6, num_experts_per_tok=2, sliding_window=24, rope_parameters=dict(PLAIN_ROPE))),
    "gpt-oss-yarn": ("gpt-oss", hf.GptOssForCausalLM, lambda: hf.GptOssConfig(
        **SIZES, num_key_value_heads=2, head_dim=32, num_local_experts=6, num_experts_per_tok=2, sliding_window=24, rope_parameters=dict(YARN_GPT_OSS))),
    "deepseek-lite": ("deepseek2", hf.DeepseekV2ForCausalLM, lambda: hf.DeepseekV2Config(
        **sizes(num_hidden_layers=27), **LATENT, q_lora_rank=None, n_routed_experts=6, num_experts_per_tok=2, first_k_dense_replace=1, n_shared_experts=2)),
    "deepseek-v2-groups": ("deepseek2", hf.DeepseekV2ForCausalLM, lambda: hf.DeepseekV2Config(
        **SIZES, **LATENT, q_lora_rank=40, n_routed_experts=12, topk_method="group_limited_greedy", n_group=4, topk_group=2, num_experts_per_tok=4,
        first_k_dense_replace=1, n_shared_experts=2, routed_scaling_factor=1.5, norm_topk_prob=False)),
    "deepseek-v2-yarn": ("deepseek2", hf.DeepseekV2ForCausalLM, lambda: hf.DeepseekV2Config(
        **SIZES, **LATENT, q_lora_rank=40, n_routed_experts=8, num_experts_per_tok=2, first_k_dense_replace=1, n_shared_experts=1,
        rope_parameters={**YARN_DEEPSEEK, "mscale": 0.707, "mscale_all_dim": 0.707})),
    "deepseek-v3": ("deepseek2", hf.DeepseekV3ForCausalLM, lambda: hf.DeepseekV3Config(
        **SIZES, **LATENT, q_lora_rank=40, n_routed_experts=8, n_group=4, topk_group=2, num_experts_per_tok=3, first_k_dense_replace=1, n_shared_experts=1)),
    "deepseek-v3-yarn": ("deepseek2", hf.DeepseekV3ForCausalLM, lambda: hf.DeepseekV3Config(
        **SIZES, **LATENT, q_lora_rank=40, n_routed_experts=8, n_group=4, topk_group=2, num_experts_per_tok=3, first_k_dense_replace=1, n_shared_experts=1,
        rope_parameters=dict(YARN_DEEPSEEK))),
    "deepseek-v3-mscales": ("deepseek2", hf.DeepseekV3ForCausalLM, lambda: hf.DeepseekV3Config(
        **SIZES, **LATENT, q_lora_rank=40, n_routed_experts=8, n_group=2, topk_group=1, num_experts_per_tok=2, first_k_dense_replace=1, n_shared_experts=1,
        routed_scaling_factor=2.5, rope_parameters={**YARN_DEEPSEEK, "mscale": 1.0, "mscale_all_dim": 0.5})),
    "qwen": ("qwen", qwen1_reference.Qwen1, qwen1_reference.Config),
}


def make(name):
    """The model in float32, with weights large enough that every part matters."""
    torch.manual_seed(sum(name.encode()))
    _, kind, config = MODELS[name]
    config = config()
    config._attn_implementation = "eager"  # the others leave out soft caps and sinks
    model = kind(config).eval().float()
    norm_mean = 0.0 if name.startswith("gemma") else 1.0  # Gemma's norms add 1
    with torch.no_grad():
        for key, value in model.named_parameters():
            is_norm = any(part in key for part in ("norm", "ln_")) and key.endswith("weight")
            value.copy_(norm_mean + 0.2 * torch.randn_like(value) if is_norm else 0.15 * torch.randn_like(value))
    return model


def text_config(model):
    return model.config


def rope_of(c):
    rope = getattr(c, "rope_parameters", None) or {}
    return rope.get("full_attention", rope)


def add_keys(w, c):
    heads, embd = c.num_attention_heads, c.hidden_size
    head_dim = getattr(c, "head_dim", None) or embd // heads
    rope = rope_of(c)
    w.add_block_count(c.num_hidden_layers)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(embd)
    w.add_feed_forward_length(getattr(c, "intermediate_size", None) or 4 * embd)
    w.add_head_count(heads)
    w.add_head_count_kv(1 if w.arch == "deepseek2" else getattr(c, "num_key_value_heads", None) or heads)
    if w.arch == "deepseek2":
        add_latent_attention(w, c, rope)
    elif w.arch != "gpt2":
        w.add_key_length(head_dim)
        w.add_value_length(head_dim)
        w.add_rope_dimension_count(head_dim)
        w.add_rope_freq_base(rope.get("rope_theta", 10000.0))
    if w.arch in ("gpt2", "starcoder2"):
        w.add_layer_norm_eps(getattr(c, "layer_norm_epsilon", None) or c.norm_epsilon)
    else:
        w.add_layer_norm_rms_eps(c.rms_norm_eps)
    if getattr(c, "sliding_window", None):
        w.add_sliding_window(c.sliding_window)
    if hasattr(c, "attn_logit_softcapping"):
        w.add_attn_logit_softcapping(c.attn_logit_softcapping or 0.0)
    if hasattr(c, "final_logit_softcapping"):
        w.add_final_logit_softcapping(c.final_logit_softcapping or 0.0)
    add_rope_scaling(w, c, rope)
    add_experts(w, c)


def add_experts(w, c):
    n = getattr(c, "num_local_experts", None) or getattr(c, "num_experts", None) or getattr(c, "n_routed_experts", None)
    if not n:
        return
    w.add_expert_count(n)
    w.add_expert_used_count(c.num_experts_per_tok)
    if w.arch != "llama":
        w.add_expert_feed_forward_length(getattr(c, "moe_intermediate_size", None) or c.intermediate_size)
    if getattr(c, "shared_expert_intermediate_size", None):
        w.add_expert_shared_feed_forward_length(c.shared_expert_intermediate_size)


def add_latent_attention(w, c, rope):
    """Keys of the absorbed form: one KV head of rank + rotary values."""
    w.add_key_length(c.kv_lora_rank + c.qk_rope_head_dim)
    w.add_value_length(c.kv_lora_rank)
    w.add_key_length_mla(c.qk_nope_head_dim + c.qk_rope_head_dim)
    w.add_value_length_mla(c.v_head_dim)
    w.add_kv_lora_rank(c.kv_lora_rank)
    if c.q_lora_rank:
        w.add_q_lora_rank(c.q_lora_rank)
    w.add_rope_dimension_count(c.qk_rope_head_dim)
    w.add_rope_freq_base(rope["rope_theta"])
    w.add_vocab_size(c.vocab_size)
    w.add_leading_dense_block_count(c.first_k_dense_replace)
    w.add_expert_shared_count(c.n_shared_experts)
    w.add_expert_weights_scale(c.routed_scaling_factor)
    is_v3 = c.model_type == "deepseek_v3"
    w.add_expert_weights_norm(bool(c.norm_topk_prob))
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID if is_v3 else gguf.ExpertGatingFuncType.SOFTMAX)
    if is_v3 or c.topk_method == "group_limited_greedy":
        w.add_expert_group_count(c.n_group)
        w.add_expert_group_used_count(c.topk_group)
    if "mscale_all_dim" in rope:
        w.add_rope_scaling_yarn_log_mul(0.1 * rope["mscale_all_dim"])
        growth = [1 + 0.1 * rope[which] * math.log(rope["factor"]) for which in ("mscale", "mscale_all_dim")]
        if growth[0] != growth[1]:
            w.add_rope_scaling_attn_factors(growth[0] / growth[1])


def add_rope_scaling(w, c, rope):
    kind = rope.get("rope_type", "default")
    if kind in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(kind))
        w.add_rope_scaling_factor(rope["factor"])
    if "original_max_position_embeddings" in rope:
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if kind == "longrope":  # the magnitude that the published code computes from the two windows
        stretch = c.max_position_embeddings / rope["original_max_position_embeddings"]
        w.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(stretch) / math.log(rope["original_max_position_embeddings"])))
        w.add_tensor("rope_factors_short.weight", np.array(rope["short_factor"], dtype=np.float32))
        w.add_tensor("rope_factors_long.weight", np.array(rope["long_factor"], dtype=np.float32))


def to_gguf(arch, name, data, c):
    """What converters do with one tensor: (name, data) pairs."""
    if arch.startswith("gemma") and name.endswith("norm.weight"):
        data = data + 1
    if arch == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        data = data.T
    if arch in ("llama", "smollm3") and ".q_proj." in name:
        data = permute(data, c.num_attention_heads)
    if arch in ("llama", "smollm3") and ".k_proj." in name:
        data = permute(data, c.num_key_value_heads)
    stem, _, kind = name.rpartition(".")
    if name.endswith("kv_b_proj.weight"):  # keys are multiplied into q, values into the result
        keys, values = np.split(data.reshape(c.num_attention_heads, -1, c.kv_lora_rank), [c.qk_nope_head_dim], axis=1)
        return [(name.replace("kv_b_proj", "k_b_proj"), keys.swapaxes(1, 2)), (name.replace("kv_b_proj", "v_b_proj"), values)]
    if kind == "e_score_correction_bias":
        return [(stem + ".e_score_correction.bias", data)]
    if arch == "gpt-oss" and "experts" in name:  # gate and up alternate; matrices are kept transposed
        kind, suffix = kind.removesuffix("_bias"), ".bias" if kind.endswith("_bias") else ".weight"
        data = data if suffix == ".bias" else data.swapaxes(1, 2)
        if kind == "gate_up_proj":
            return [(f"{stem}.gate_proj{suffix}", data[:, 0::2]), (f"{stem}.up_proj{suffix}", data[:, 1::2])]
        return [(f"{stem}.{kind}{suffix}", data)]
    if kind == "gate_up_proj":
        half = data.shape[1] // 2
        return [(f"{stem}.gate_proj.weight", data[:, :half]), (f"{stem}.up_proj.weight", data[:, half:])]
    if kind in ("down_proj", "sinks"):
        return [(name + ".weight", data)]
    return [(name, data)]


def write(name, model, path):
    """The model as F32 GGUF with a byte vocabulary, so that token id = byte + 3."""
    arch, _, _ = MODELS[name]
    c = model.config
    w = gguf.GGUFWriter(path, arch)
    add_keys(w, c)
    add_byte_vocabulary(w, c.vocab_size)
    names = gguf.get_tensor_name_map({v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}[arch], c.num_hidden_layers)
    tied = {key for key in model.state_dict() if key == "lm_head.weight" and c.tie_word_embeddings}
    for key, value in model.state_dict().items():
        if key in tied:
            continue
        for source, data in to_gguf(arch, key, value.numpy().astype(np.float32), c):
            target = names.get_name(source, try_suffixes=(".weight", ".bias"))
            assert target, source
            w.add_tensor(target, np.ascontiguousarray(data))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
