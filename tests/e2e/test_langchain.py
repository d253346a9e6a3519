"""langchain-openai against `quern serve`: chats, completions and embeddings."""

import asyncio
import math
import os

import pytest

pytest.importorskip("langchain_openai", reason="langchain-openai is not installed: tests/requirements-clients.txt lists it, make test-all installs it")
pytestmark = pytest.mark.slow

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage  # noqa: E402
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings  # noqa: E402

QUESTION = "What is the capital of France? Answer in one word."


def options(server, **more):
    return {"base_url": server.url + "/v1", "api_key": "none", "max_retries": 0, **more}


@pytest.fixture(scope="module")
def chat(smollm2_server):
    return ChatOpenAI(model="smollm2", temperature=0, max_tokens=16, **options(smollm2_server))


def test_a_chat_is_invoked(chat):
    answer = chat.invoke([SystemMessage("Be brief."), HumanMessage(QUESTION)])
    assert "Paris" in answer.content
    assert answer.usage_metadata["total_tokens"] == answer.usage_metadata["input_tokens"] + answer.usage_metadata["output_tokens"]
    assert answer.response_metadata["finish_reason"] in ("stop", "length") and answer.response_metadata["model_name"] == "smollm2"


def test_a_stream_says_the_same(chat):
    whole = chat.invoke(QUESTION).content
    chunks = list(chat.stream(QUESTION, stream_usage=True))
    assert "".join(chunk.content for chunk in chunks) == whole
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    assert total.usage_metadata["output_tokens"] > 0


def test_batches_and_coroutines(chat):
    alone = chat.invoke(QUESTION).content
    assert [answer.content for answer in chat.batch([QUESTION] * 3)] == [alone] * 3

    async def both():
        text = "".join([chunk.content async for chunk in chat.astream(QUESTION)])
        return (await chat.ainvoke(QUESTION)).content, text

    assert asyncio.run(both()) == (alone, alone)


def test_a_history_logprobs_and_stops(chat):
    history = [HumanMessage("My name is Ann."), AIMessage("Hello Ann!"), HumanMessage("What is my name?")]
    assert chat.invoke(history).content != chat.invoke(history[-1:]).content
    bound = chat.bind(logprobs=True, top_logprobs=2, stop=[","])
    answer = bound.invoke("Count from one to ten, with commas.")
    assert "," not in answer.content
    assert all(len(entry["top_logprobs"]) == 2 for entry in answer.response_metadata["logprobs"]["content"])
    several = ChatOpenAI(model="smollm2", n=2, seed=1, max_tokens=4, base_url=chat.openai_api_base, api_key="none").generate([[HumanMessage("Hello")]])
    assert len(several.generations[0]) == 2


def test_the_responses_api(smollm2_server):
    chat = ChatOpenAI(model="smollm2", temperature=0, max_tokens=16, use_responses_api=True, **options(smollm2_server))
    whole = chat.invoke(QUESTION)
    assert "Paris" in whole.text
    assert "".join(chunk.text for chunk in chat.stream(QUESTION)) == whole.text


def test_completions(smollm2_server):
    model = OpenAI(model="smollm2", temperature=0, max_tokens=6, **options(smollm2_server))
    text = model.invoke("The capital of France is")
    assert "Paris" in text
    assert "".join(model.stream("The capital of France is")) == text
    assert model.batch(["The capital of France is"] * 2) == [text, text]
    best = OpenAI(model="smollm2", max_tokens=4, n=2, best_of=3, seed=3, **options(smollm2_server)).generate(["Once"])
    assert len(best.generations[0]) == 2


@pytest.fixture(scope="module")
def embedding_server(tiny_bert_server):
    return tiny_bert_server


def test_embeddings_of_texts_and_of_token_arrays(embedding_server):
    plain = OpenAIEmbeddings(model="bert", check_embedding_ctx_length=False, **options(embedding_server))
    vectors = plain.embed_documents(["hello", "the quick brown fox"])
    assert len(vectors) == 2 and vectors[0] != vectors[1]
    assert all(math.isclose(sum(x * x for x in vector), 1, abs_tol=1e-4) for vector in vectors)
    assert plain.embed_query("hello") == pytest.approx(vectors[0], abs=1e-6)
    assert len(OpenAIEmbeddings(model="bert", dimensions=8, check_embedding_ctx_length=False, **options(embedding_server)).embed_query("x")) == 8


def test_the_token_array_mode_reaches_the_server_as_token_ids(embedding_server, monkeypatch):
    """By default the client cuts texts into token ids itself, with a tokenizer of OpenAI's, or here that of another model."""
    tiktoken = pytest.importorskip("tiktoken")

    class Encoding:
        def encode(self, text, **_):
            return [5 + ord(c) % 20 for c in text]

        encode_ordinary = encode

        def decode(self, ids):
            return "".join(map(chr, ids))

    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda _: Encoding())
    monkeypatch.setattr(tiktoken, "get_encoding", lambda _: Encoding())
    cut = OpenAIEmbeddings(model="bert", embedding_ctx_length=16, **options(embedding_server))
    vectors = cut.embed_documents(["hello", "a text of more than sixteen characters, so that it goes in parts"])
    assert len(vectors) == 2 and len(vectors[0]) == len(vectors[1]) > 0
    assert len(asyncio.run(cut.aembed_query("hello"))) == len(vectors[0])
