"""Logits against the original implementations: tiny random models in float32, and SmolLM2's own weights."""

import os
import subprocess

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
import tiny_models  # noqa: E402
from program import QUERN, ROOT, SMOLLM2, needs_smollm2  # noqa: E402

TEXT = "The quick brown fox jumps over the lazy dog. Zażółć gęślą jaźń, 0123456789! "


def quern_logits(model, text, tmp_path, n_vocab, *flags, env=None):
    """Logits of every position of the text, BOS first."""
    prompt, out = tmp_path / "prompt.txt", tmp_path / "logits.bin"
    prompt.write_text(text, encoding="utf-8")
    command = [str(QUERN), "run", "-m", str(model), "-f", str(prompt), "-n", "0", "--logits-out", str(out), "--logits-all", "-t", "2", "-ctk", "f32", "-ctv", "f32", *flags]
    subprocess.run(command, check=True, capture_output=True, timeout=300, env={**os.environ, **(env or {})})
    return np.fromfile(out, dtype="<f4").reshape(-1, n_vocab)


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512"])
@pytest.mark.parametrize("name", list(tiny_models.MODELS))
def test_a_tiny_model_has_the_logits_of_transformers(name, isa, tmp_path):
    if isa != "scalar" and isa not in open("/proc/cpuinfo").read().replace("avx512f", "avx512"):
        pytest.skip(f"this CPU has no {isa}")
    model = tiny_models.make(name)
    path = tmp_path / "tiny.gguf"
    tiny_models.write(model, path)
    ids = tokens_of(path, TEXT * 2)
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    actual = quern_logits(path, TEXT * 2, tmp_path, model.config.vocab_size, env={"QUERN_CPU": isa})
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() < 1e-4, name


def dequantized(path):
    """The file's model in transformers, every weight dequantized to float32 by the gguf package."""
    import gguf
    from transformers import LlamaConfig, LlamaForCausalLM

    reader = gguf.GGUFReader(path)
    value = lambda key: reader.get_field(key).contents()
    heads, kv_heads = value("llama.attention.head_count"), value("llama.attention.head_count_kv")
    tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}
    config = LlamaConfig(
        vocab_size=tensors["token_embd.weight"].shape[0], hidden_size=value("llama.embedding_length"), intermediate_size=value("llama.feed_forward_length"),
        num_hidden_layers=value("llama.block_count"), num_attention_heads=heads, num_key_value_heads=kv_heads,
        max_position_embeddings=value("llama.context_length"), rms_norm_eps=value("llama.attention.layer_norm_rms_epsilon"),
        rope_parameters=dict(rope_type="default", rope_theta=value("llama.rope.freq_base")), tie_word_embeddings="output.weight" not in tensors)
    model = LlamaForCausalLM(config).eval()
    unpermute = lambda w, n: w.reshape(n, w.shape[0] // n // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)
    state = {}
    for name in model.state_dict():
        source = tiny_models.gguf_name(name)
        data = tensors.get(source, tensors["token_embd.weight"]).reshape(model.state_dict()[name].shape)
        data = unpermute(data, heads) if ".q_proj." in name else unpermute(data, kv_heads) if ".k_proj." in name else data
        state[name] = torch.from_numpy(np.ascontiguousarray(data))
    model.load_state_dict(state)
    return model


def log_softmax(logits):
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


@needs_smollm2
@pytest.mark.parametrize("isa", ["avx512", "avx2"])
def test_smollm2_has_the_distribution_of_its_dequantized_weights(isa, tmp_path):
    if isa not in open("/proc/cpuinfo").read().replace("avx512f", "avx512"):
        pytest.skip(f"this CPU has no {isa}")
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    ids = tokens_of(SMOLLM2, text)[:512]
    model = dequantized(SMOLLM2)
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    actual = quern_logits(SMOLLM2, text, tmp_path, expected.shape[1], "-c", "8192", env={"QUERN_CPU": isa})[:512]
    p, q = log_softmax(expected), log_softmax(actual)
    divergence = (np.exp(p) * (p - q)).sum(axis=1)
    print(f"KL divergence over {len(ids)} tokens with {isa}: mean {divergence.mean():.2e}, max {divergence.max():.2e}")
    assert len(ids) == 512
    assert divergence.mean() < 1e-3


def tokens_of(model, text):
    import json

    out = subprocess.run([str(QUERN), "tokenize", "-m", str(model), "--ids", "--no-escape", "--stdin"], input=text.encode(), check=True, capture_output=True)
    return json.loads(out.stdout)


PROMPTS = ["Once upon a time", "The capital of France is", "def fibonacci(n):", "Water boils at", "In 1969, the first", "The three primary colours are",
           "Dear Sir or Madam,", "To make a cup of tea, you", "The largest planet in the solar system", "1, 2, 3, 4,"]


def greedy_gaps(model, prompt, text):
    """For each token of the text after the prompt: by how much the model's best logit is above that token's."""
    ids, n_prompt = tokens_of(SMOLLM2, prompt + text), len(tokens_of(SMOLLM2, prompt))
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    chosen = torch.tensor(ids[n_prompt:])
    before = logits[n_prompt - 1:-1]
    return (before.max(dim=1).values - before.gather(1, chosen[:, None])[:, 0]).numpy()


@needs_smollm2
def test_smollm2_chooses_the_tokens_of_its_dequantized_weights():
    model = dequantized(SMOLLM2)
    for prompt in PROMPTS:
        command = [str(QUERN), "run", "-m", str(SMOLLM2), "-p", prompt, "-n", "64", "--temp", "0", "--no-display-prompt", "-t", "2", "-c", "8192"]
        text = subprocess.run(command, check=True, capture_output=True, timeout=300).stdout.decode("utf-8").removesuffix("\n")
        gaps = greedy_gaps(model, prompt, text)
        print(f"{prompt!r}: {(gaps > 0).sum()} of {len(gaps)} tokens are not the best, by at most {gaps.max():.4f}")
        assert gaps.max() < 0.05, (prompt, text)
