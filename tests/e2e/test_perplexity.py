"""quern perplexity against the same sums over transformers' logits, computed by numpy."""

import json
import os
import re
import struct

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
import tiny_models  # noqa: E402
from program import ROOT, STORIES, complaint, quern  # noqa: E402

WINDOW = 64


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")[:1500], encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two tiny models that differ a little: (transformers model, file) each."""
    folder = tmp_path_factory.mktemp("models")
    models = []
    for i in range(2):
        model = tiny_models.make("llama-gqa-tied")
        if i == 1:
            torch.manual_seed(1)
            with torch.no_grad():
                for value in model.parameters():
                    value.add_(0.01 * torch.randn_like(value))
        path = folder / f"model{i}.gguf"
        tiny_models.write(model, path)
        models.append((model, path))
    return models


def run(model, *arguments):
    return json.loads(quern("perplexity", "-m", model, "-c", WINDOW, "-ctk", "f32", "-t", 2, "--json", *arguments).stdout)


def token_ids(pair, text):
    return json.loads(quern("tokenize", "-m", pair[0][1], "--ids", "--no-escape", "-f", text).stdout)


def log_probabilities(model, ids, first_scored, stride):
    """[n, n_vocab] rows in float64 and the tokens that followed."""
    rows, actual = [], []
    for start in range(0, len(ids) - WINDOW + 1, stride):
        window = ids[start:start + WINDOW]
        with torch.no_grad():
            logits = model(torch.tensor([[1] + window[1:]])).logits[0].double()
        rows.append(torch.log_softmax(logits, -1)[first_scored:-1].numpy())
        actual += window[first_scored + 1:]
    return np.concatenate(rows), np.array(actual)


def test_the_perplexity_is_that_of_transformers(pair, text):
    model, path = pair[0]
    rows, actual = log_probabilities(model, token_ids(pair, text), WINDOW // 2, WINDOW)
    nll = -rows[np.arange(len(actual)), actual]
    found = run(path, "-f", text)
    assert found["tokens"] == len(actual)
    assert found["ppl"] == pytest.approx(np.exp(nll.mean()), rel=1e-4)
    assert found["ppl_error"] == pytest.approx(np.exp(nll.mean()) * nll.std(ddof=1) / np.sqrt(len(nll)), rel=1e-3)


def test_overlapping_windows_score_only_their_last_tokens(pair, text):
    model, path = pair[0]
    rows, actual = log_probabilities(model, token_ids(pair, text), WINDOW - 16 - 1, 16)
    found = run(path, "-f", text, "--stride", 16)
    assert found["ppl"] == pytest.approx(np.exp(-rows[np.arange(len(actual)), actual].mean()), rel=1e-4)


def test_the_divergence_from_a_base_is_that_of_the_full_distributions(pair, text, tmp_path):
    base = tmp_path / "base.kld"
    run(pair[0][1], "-f", text, "--kl-divergence-base", base)
    found = run(pair[1][1], "--kl-divergence-base", base, "--kl-divergence")
    p, actual = log_probabilities(pair[0][0], token_ids(pair, text), WINDOW // 2, WINDOW)
    q, _ = log_probabilities(pair[1][0], token_ids(pair, text), WINDOW // 2, WINDOW)
    divergence = (np.exp(p) * (p - q)).sum(axis=1)
    at = np.arange(len(actual))
    assert found["kl_divergence"]["mean"] == pytest.approx(divergence.mean(), rel=2e-2)
    assert found["kl_divergence"]["median"] == pytest.approx(np.median(divergence), rel=5e-2)
    assert found["same_top"] == pytest.approx((p.argmax(1) == q.argmax(1)).mean(), abs=0.01)
    assert found["p_difference"]["rms"] == pytest.approx(np.sqrt(((np.exp(q) - np.exp(p))[at, actual] ** 2).mean()), rel=1e-2)
    assert found["ppl_ratio"] == pytest.approx(np.exp((p - q)[at, actual].mean()), rel=1e-3)
    same = run(pair[0][1], "--kl-divergence-base", base, "--kl-divergence")
    assert abs(same["kl_divergence"]["mean"]) < 1e-4 and same["same_top"] == 1.0


def test_the_table_says_what_the_json_says(text, pair):
    shown = quern("perplexity", "-m", pair[0][1], "-c", WINDOW, "-f", text, "--chunks", 3, "-ctk", "f32", "-t", 1).stdout
    assert shown.startswith("[1]") and "[3]" in shown and "[4]" not in shown
    found = float(re.search(r"Final estimate: PPL = ([0-9.]+) \+/- ", shown).group(1))
    assert found == pytest.approx(run(pair[0][1], "-f", text, "--chunks", 3)["ppl"], rel=1e-5)


def test_bad_input_is_one_line(pair, text, tmp_path):
    path = pair[0][1]
    short = tmp_path / "short.txt"
    short.write_text("too short")
    assert "fewer than one window" in complaint("perplexity", "-m", path, "-f", short, "-c", WINDOW)
    assert "cannot read" in complaint("perplexity", "-m", path, "-c", WINDOW, "-f", tmp_path / "none.txt")
    assert "-f FILE" in complaint("perplexity", "-m", path)
    assert "--kl-divergence-base" in complaint("perplexity", "-m", path, "--kl-divergence")
    assert "stride" in complaint("perplexity", "-m", path, "-f", text, "-c", WINDOW, "--stride", WINDOW)
    assert "/nonexistent" in complaint("perplexity", "-m", path, "-f", text, "-c", WINDOW, "--kl-divergence-base", "/nonexistent/base.kld")


def test_a_broken_base_is_refused(pair, text, tmp_path):
    path, base, broken = pair[0][1], tmp_path / "base.kld", tmp_path / "broken.kld"
    run(path, "-f", text, "--chunks", 2, "--kl-divergence-base", base)
    good = base.read_bytes()
    huge = good[:8] + struct.pack("<3i", WINDOW, 1 << 24, 1 << 24) + good[20:]
    foreign_token = good[:20] + struct.pack("<i", 1 << 20) + good[24:]
    for bytes_ in (b"", good[:-1], good + b"\0", b"x" + good[1:], good[:8] + struct.pack("<3i", -1, 259, 2) + good[20:], huge, foreign_token):
        broken.write_bytes(bytes_)
        assert "broken.kld" in complaint("perplexity", "-m", path, "--kl-divergence-base", broken, "--kl-divergence")
    assert "vocabulary" in complaint("perplexity", "-m", STORIES, "--kl-divergence-base", base, "--kl-divergence")
    assert os.listdir(tmp_path).count("base.kld") == 1


def test_a_model_that_is_not_a_number_is_said_so(text, tmp_path):
    model = tiny_models.make("llama")
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight.fill_(float("nan"))
    tiny_models.write(model, tmp_path / "nan.gguf")
    done = quern("perplexity", "-m", tmp_path / "nan.gguf", "-f", text, "-c", WINDOW, check=False)
    assert done.returncode == 1 and "not finite" in done.stderr
