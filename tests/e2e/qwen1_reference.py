"""Qwen of 2023 from its published description (Bai et al. 2023), which transformers has no class for: within the trained window."""

import torch
from torch import nn


class RmsNorm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def turn(x, base):
    """Rotary embedding of [n_tokens, n_heads, head_dim]; pairs are the two halves of a head."""
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[0])[:, None] * base ** (-torch.arange(half) / half)
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c_attn = nn.Linear(c.hidden_size, 3 * c.hidden_size)
        self.c_proj = nn.Linear(c.hidden_size, c.hidden_size, bias=False)
        self.n_heads, self.base = c.num_attention_heads, c.rotary_emb_base

    def forward(self, x):
        q, k, v = (part.view(len(x), self.n_heads, -1) for part in self.c_attn(x).chunk(3, dim=-1))
        q, k = turn(q, self.base), turn(k, self.base)
        scores = torch.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5
        future = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
        weights = scores.masked_fill(future, -torch.inf).softmax(-1)
        return self.c_proj(torch.einsum("hqk,khd->qhd", weights, v).flatten(1))


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        half = c.intermediate_size // 2
        self.w1 = nn.Linear(c.hidden_size, half, bias=False)
        self.w2 = nn.Linear(c.hidden_size, half, bias=False)
        self.c_proj = nn.Linear(half, c.hidden_size, bias=False)

    def forward(self, x):
        return self.c_proj(self.w1(x) * nn.functional.silu(self.w2(x)))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.ln_1, self.ln_2 = RmsNorm(c.hidden_size, c.rms_norm_eps), RmsNorm(c.hidden_size, c.rms_norm_eps)
        self.attn, self.mlp = Attention(c), FeedForward(c)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Config:
    vocab_size, hidden_size, intermediate_size = 259, 64, 192
    num_hidden_layers, num_attention_heads, max_position_embeddings = 3, 4, 512
    rms_norm_eps, rotary_emb_base, tie_word_embeddings = 1e-6, 10000.0, False


class Qwen1(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.transformer = nn.ModuleDict(dict(
            wte=nn.Embedding(config.vocab_size, config.hidden_size), h=nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers)),
            ln_f=RmsNorm(config.hidden_size, config.rms_norm_eps)))
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(self, ids):
        """Like transformers: a batch of one in, an object with `logits` out."""
        x = self.transformer.wte(ids[0])
        for block in self.transformer.h:
            x = block(x)
        return type("Output", (), dict(logits=self.lm_head(self.transformer.ln_f(x))[None]))
