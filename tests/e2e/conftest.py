"""Servers that several tests share."""

import pytest

import tiny_bert
from program import SMOLLM2, STORIES
from serving import Server


@pytest.fixture(scope="session")
def smollm2_server():
    """A chat model, called `smollm2`."""
    if not SMOLLM2.exists():
        pytest.skip(f"{SMOLLM2} is missing: scripts/fetch_default_model.py fetches it")
    with Server("-m", SMOLLM2, "--model-alias", "smollm2", "-c", 2048) as server:
        yield server


@pytest.fixture(scope="session")
def stories_server():
    """A very small model that only goes on with stories, with a window of 256 tokens."""
    with Server("-m", STORIES, "-c", 256) as server:
        yield server


@pytest.fixture(scope="session")
def tiny_bert_server(tmp_path_factory):
    """A very small model that makes vectors, called `bert`."""
    path = tmp_path_factory.mktemp("bert") / "tiny.gguf"
    tiny_bert.write(path)
    with Server("-m", path, "--model-alias", "bert") as server:
        yield server
