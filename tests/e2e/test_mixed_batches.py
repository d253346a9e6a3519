"""Each family's logits in company: many requests at once, so that prompts of several are computed in one chunk, and answers in one step."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
import family_models  # noqa: E402
import tiny_models  # noqa: E402
from serving import Server  # noqa: E402
from test_families import TEXT, WORST  # noqa: E402
from test_logits import tokens_of  # noqa: E402

N_GENERATED = 4
MODELS = {**{name: family_models for name in family_models.MODELS}, **{name: tiny_models for name in tiny_models.MODELS}}


def write(name, path):
    model = MODELS[name].make(name)
    if MODELS[name] is family_models:
        family_models.write(name, model, path)
    else:
        tiny_models.write(model, path)
    return model


@pytest.mark.parametrize("name", list(MODELS))
def test_logits_in_mixed_batches_are_those_of_transformers(name, tmp_path):
    path = tmp_path / "tiny.gguf"
    model = write(name, path)
    ids = tokens_of(path, TEXT)
    body = dict(n_predict=N_GENERATED, temperature=0, n_probs=20, cache_prompt=False, ignore_eos=True)
    flags = ["-c", 256, "-b", 64, "-t", 2, "-np", 16, "-ctk", "f32", "-ctv", "f32"]
    with Server("-m", path, *flags) as server, ThreadPoolExecutor(16) as pool:
        ends = range(130 if name == "phi3-long" else 1, len(ids), 3)  # transformers takes that one's other factors for shorter texts
        answers = list(pool.map(lambda end: server.post("/completion", {**body, "prompt": ids[:end]}).json(), ends))
    texts = [(end, ids[:end] + [each["id"] for each in answer["completion_probabilities"]]) for end, answer in zip(ends, answers)]
    worst = 0
    for (end, text), answer in zip(texts, answers):
        with torch.no_grad():
            expected = model(torch.tensor([text])).logits[0, end - 1:-1].double()
        span = (expected.max() - expected.min()).item()
        expected = torch.log_softmax(expected, dim=-1).numpy()
        assert len(answer["completion_probabilities"]) == N_GENERATED
        for row, token in zip(expected, answer["completion_probabilities"]):
            top = {each["id"]: each["logprob"] for each in token["top_logprobs"]}
            assert len(top) == 20
            worst = max(worst, max(abs(row[i] - p) for i, p in top.items()) / span)
            assert row[list(top)].min() >= np.sort(row)[-20] - WORST * span  # they are the likeliest
    print(f"{name}: {worst:.1e} of the range of the logits")
    assert worst < WORST, name
