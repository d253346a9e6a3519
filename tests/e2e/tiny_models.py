"""Tiny random transformers models, written as GGUF files with the gguf package."""

import math

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

SIZES = dict(vocab_size=259, hidden_size=64, intermediate_size=176, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=256)

ROPE_LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
ROPE_YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=64)
ROPE_LINEAR = dict(rope_type="linear", rope_theta=10000.0, factor=4.0)

MODELS = {
    "llama": lambda: (LlamaForCausalLM, LlamaConfig(**SIZES, num_key_value_heads=4)),
    "llama-gqa-tied": lambda: (LlamaForCausalLM, LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=True)),
    "llama-mqa-biases": lambda: (LlamaForCausalLM, LlamaConfig(**SIZES, num_key_value_heads=1, attention_bias=True)),
    "llama-head-dim": lambda: (LlamaForCausalLM, LlamaConfig(**SIZES, num_key_value_heads=2, head_dim=24)),
    "llama-linear": lambda: (LlamaForCausalLM, LlamaConfig(**SIZES, num_key_value_heads=2, rope_scaling=dict(ROPE_LINEAR))),
    "llama-yarn": lambda: (LlamaForCausalLM, LlamaConfig(**SIZES, num_key_value_heads=2, rope_scaling=dict(ROPE_YARN))),
    "llama-llama3": lambda: (LlamaForCausalLM, LlamaConfig(**SIZES, num_key_value_heads=2, rope_scaling=dict(ROPE_LLAMA3))),
    "mistral": lambda: (MistralForCausalLM, MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=None)),
    "qwen2": lambda: (Qwen2ForCausalLM, Qwen2Config(**SIZES, num_key_value_heads=2)),
    "qwen2-tied-yarn": lambda: (Qwen2ForCausalLM, Qwen2Config(**SIZES, num_key_value_heads=4, tie_word_embeddings=True, rope_scaling=dict(ROPE_YARN))),
}


def make(name):
    """The model in float32, with weights large enough that every part matters."""
    torch.manual_seed(sum(name.encode()))
    kind, config = MODELS[name]()
    model = kind(config).eval().float()
    with torch.no_grad():
        for key, value in model.named_parameters():
            value.copy_(1 + 0.2 * torch.randn_like(value) if "norm" in key else 0.15 * torch.randn_like(value))
    return model


def permute(weight, n_heads):
    """Llama's GGUF order: the two halves of a head interleaved."""
    return weight.reshape(n_heads, 2, weight.shape[0] // n_heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


LAYER_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name):
    if name.startswith("model.layers."):
        _, _, index, rest = name.split(".", 3)
        stem, kind = rest.rsplit(".", 1)
        return f"blk.{index}.{LAYER_NAMES[stem]}.{kind}"
    return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}[name]


def llama3_factors(rope, n_dims, base):
    """What converters store as rope_freqs.weight; from the published description of Llama 3.1."""
    factors = []
    for i in range(0, n_dims, 2):
        wavelength = 2 * math.pi * base ** (i / n_dims)
        low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
        high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
        if wavelength < high:
            factors.append(1.0)
        elif wavelength > low:
            factors.append(rope["factor"])
        else:
            smooth = (rope["original_max_position_embeddings"] / wavelength - rope["low_freq_factor"]) / (
                rope["high_freq_factor"] - rope["low_freq_factor"])
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


def write(model, path):
    """Writes the model as F32 GGUF with a byte vocabulary, so that token id = byte + 3."""
    c = model.config
    arch = "qwen2" if c.model_type == "qwen2" else "llama"
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    rope = getattr(c, "rope_parameters", None) or getattr(c, "rope_scaling", None) or {}
    base = rope.get("rope_theta") or getattr(c, "rope_theta", 10000.0)
    w = gguf.GGUFWriter(path, arch)
    w.add_block_count(c.num_hidden_layers)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_key_length(head_dim)
    w.add_value_length(head_dim)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_rope_dimension_count(head_dim)
    w.add_rope_freq_base(base)
    if rope.get("rope_type") in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        w.add_rope_scaling_factor(rope["factor"])
        if "original_max_position_embeddings" in rope:
            w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if rope.get("rope_type") == "llama3":
        w.add_tensor("rope_freqs.weight", llama3_factors(rope, head_dim, base))
    add_byte_vocabulary(w, c.vocab_size)
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and c.tie_word_embeddings:
            continue
        data = value.numpy().astype(np.float32)
        if arch == "llama" and ".q_proj." in name:
            data = permute(data, c.num_attention_heads)
        if arch == "llama" and ".k_proj." in name:
            data = permute(data, c.num_key_value_heads)
        w.add_tensor(gguf_name(name), np.ascontiguousarray(data))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def add_byte_vocabulary(w, n_vocab):
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    w.add_tokenizer_model("llama")
    w.add_token_list(tokens[:n_vocab])
    w.add_token_scores([0.0] * n_vocab)
    w.add_token_types([2, 3, 3] + [6] * (n_vocab - 3))
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_unk_token_id(0)
    w.add_add_bos_token(True)
    w.add_add_space_prefix(False)
