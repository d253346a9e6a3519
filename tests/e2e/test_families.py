"""Each family's logits against the original implementation: tiny random models in float32, as one prompt, in pieces, and token by token."""

import subprocess

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
import family_models  # noqa: E402
from program import QUERN  # noqa: E402
from test_logits import quern_logits, tokens_of  # noqa: E402

TEXT = "The quick brown fox jumps over the lazy dog. Zażółć gęślą jaźń, 0123456789! " * 2
WORST = 2e-4  # of the range of the logits


def check(actual, expected, what):
    assert actual.shape == expected.shape
    worst = np.abs(actual - expected).max() / (expected.max() - expected.min())
    print(f"{what}: {worst:.1e} of the range of the logits")
    assert worst < WORST, (what, worst)


@pytest.mark.parametrize("name", list(family_models.MODELS))
def test_a_tiny_model_has_the_logits_of_transformers(name, tmp_path):
    model = family_models.make(name)
    path = tmp_path / "tiny.gguf"
    family_models.write(name, model, path)
    ids = tokens_of(path, TEXT)
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    window = ["-c", "256"]  # phi3-short was trained for that, phi3-long for less
    for what, flags in {"prompt": [], "pieces of 50": ["-b", "50"], "token by token": ["-b", "1"]}.items():
        check(quern_logits(path, TEXT, tmp_path, model.config.vocab_size, *window, *flags), expected, f"{name}, {what}")


def test_phi3_takes_its_rotary_factors_by_the_window(tmp_path):
    """transformers takes them by the length of the text: windows within the trained one are right for all texts that fit in them."""
    model = family_models.make("phi3-long")
    path = tmp_path / "tiny.gguf"
    family_models.write("phi3-long", model, path)
    for text, window in ((TEXT[:70], "128"), (TEXT, "256")):
        ids = tokens_of(path, text)
        with torch.no_grad():
            expected = model(torch.tensor([ids])).logits[0].numpy()
        check(quern_logits(path, text, tmp_path, model.config.vocab_size, "-c", window), expected, f"phi3, {len(ids)} tokens, window {window}")


def test_a_window_beyond_learned_positions_is_refused(tmp_path):
    path = tmp_path / "tiny.gguf"
    family_models.write("gpt2", family_models.make("gpt2"), path)
    command = [str(QUERN), "run", "-m", str(path), "-p", "x", "-n", "1", "-c", "513"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "no positions beyond 512" in result.stderr
