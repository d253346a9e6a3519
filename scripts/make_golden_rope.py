#!/usr/bin/env python3
"""Writes tests/golden/rope.txt: rotary frequencies as transformers' own code computes them.

usage: make_golden_rope.py OUT. Each case is one line of fields, one of frequency factors, and one of inverse frequencies:
    scaling n_dims base factor beta_fast beta_slow attn_factor original_context magnitude
"""

import math
import sys

import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

# scaling, n_dims, base, then what the configuration file of a model says.
CASES = [
    ("linear", 64, 10000.0, {"factor": 4.0}),
    ("linear", 128, 1000000.0, {"factor": 2.5}),
    ("yarn", 128, 1000000.0, {"factor": 4.0, "original_max_position_embeddings": 32768}),
    ("yarn", 64, 10000.0, {"factor": 40.0, "original_max_position_embeddings": 4096, "beta_fast": 32.0, "beta_slow": 1.0}),
    ("yarn", 80, 10000.0, {"factor": 16.0, "original_max_position_embeddings": 8192, "beta_fast": 16.0, "beta_slow": 2.0}),
    ("yarn", 16, 500.0, {"factor": 8.0, "original_max_position_embeddings": 64}),
    ("llama3", 128, 500000.0, {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}),
    ("llama3", 64, 500000.0, {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}),
]


def llama3_factors(n_dims: int, base: float, rope: dict) -> list[float]:
    """What a GGUF file of such a model stores in rope_freqs.weight: by how much each frequency is divided."""
    factors = []
    for i in range(n_dims // 2):
        wavelength = 2 * math.pi * base ** (2 * i / n_dims)
        turns = rope["original_max_position_embeddings"] / wavelength
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        share = min(1.0, max(0.0, (turns - low) / (high - low)))
        factors.append(1 / (share + (1 - share) / rope["factor"]))
    return factors


def numbers(values) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def case_lines(scaling: str, n_dims: int, base: float, rope: dict) -> list[str]:
    config = LlamaConfig(
        hidden_size=n_dims * 2,
        num_attention_heads=2,
        head_dim=n_dims,
        max_position_embeddings=1 << 20,
        rope_parameters={"rope_type": scaling, "rope_theta": base, **rope},
    )
    inverse, magnitude = ROPE_INIT_FUNCTIONS[scaling](config, torch.device("cpu"))
    fields = [
        "none" if scaling == "llama3" else scaling,
        n_dims,
        base,
        rope["factor"],
        rope.get("beta_fast", 32.0),
        rope.get("beta_slow", 1.0),
        1.0,
        rope.get("original_max_position_embeddings", 0),
        f"{magnitude:.9g}",
    ]
    factors = llama3_factors(n_dims, base, rope) if scaling == "llama3" else []
    return [" ".join(str(field) for field in fields), numbers(factors), numbers(inverse.tolist())]


def main() -> None:
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        for case in CASES:
            out.write("\n".join(case_lines(*case)) + "\n")


if __name__ == "__main__":
    main()
