"""Each family's logits against the original implementation: tiny random models in float32, as one prompt, in pieces, and token by token."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
import family_models  # noqa: E402
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
    for what, flags in {"prompt": [], "pieces of 50": ["-b", "50"], "token by token": ["-b", "1"]}.items():
        check(quern_logits(path, TEXT, tmp_path, model.config.vocab_size, *flags), expected, f"{name}, {what}")
