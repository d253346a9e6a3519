"""Tokenizers converted from tokenizer.json against the `tokenizers` package: the ids of random strings, and the text that ids stand for.

2,000 strings a family, or 20,000 with the tests that are `slow`; QUERN_TOKENIZER_JSON gives them real vocabularies (family_tokenizers.py).
"""

import json
import random

import pytest

pytest.importorskip("torch")
tokenizers = pytest.importorskip("tokenizers")
import family_tokenizers  # noqa: E402
from nasty_text import nasty_text  # noqa: E402
from program import quern  # noqa: E402
from test_tokenizers import run  # noqa: E402

CONFIG = dict(architectures=["LlamaForCausalLM"], num_hidden_layers=1, max_position_embeddings=64, hidden_size=32, intermediate_size=32, num_attention_heads=1)


@pytest.fixture(scope="module", params=list(family_tokenizers.FAMILIES))
def family(request, tmp_path_factory):
    """The original tokenizer, and the GGUF file made of its tokenizer.json."""
    folder = tmp_path_factory.mktemp("family")
    (folder / "tokenizer.json").write_text(json.dumps(family_tokenizers.tokenizer_json(request.param)))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    done = quern("convert", folder, "--vocab-only", "--outfile", folder / "out.gguf")
    assert "other tokens" not in done.stderr, done.stderr
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")), str(folder / "out.gguf")


def differences(texts, expected, actual):
    wrong = sorted((case for case in zip(texts, expected, actual, strict=True) if case[1] != case[2]), key=lambda case: len(case[0]))
    return (len(wrong), *map(ascii, wrong[0])) if wrong else None


def check(family, n, seed):
    original, path = family
    specials = sorted(token.content for token in original.get_added_tokens_decoder().values())
    rng = random.Random(seed)
    texts = [nasty_text(rng, specials) for _ in range(n)]
    ids = [encoding.ids for encoding in original.encode_batch(texts)]
    assert differences(texts, ids, run(["-m", path], texts)) is None
    decoded = original.decode_batch(ids, skip_special_tokens=True)
    assert differences(texts, decoded, run(["-m", path, "--detokenize"], ids)) is None
    original.encode_special_tokens = True
    plain = [encoding.ids for encoding in original.encode_batch(texts, add_special_tokens=False)]
    original.encode_special_tokens = False
    assert differences(texts, plain, run(["-m", path, "--no-bos", "--no-parse-special"], texts)) is None


def test_random_strings_have_the_ids_of_the_original_and_ids_its_text(family):
    check(family, 2000, 1)


@pytest.mark.slow
def test_very_many_random_strings_have_the_ids_of_the_original_and_ids_its_text(family):
    check(family, 20000, 2)
