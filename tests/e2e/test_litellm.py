"""litellm against `quern serve`: under its `openai/` provider, and Ollama's and Anthropic's APIs by theirs."""

import asyncio
import os

import pytest

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no look at the network
litellm = pytest.importorskip("litellm", reason="litellm is not installed: tests/requirements-clients.txt lists it, make test-all installs it")
pytestmark = pytest.mark.slow

QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]


@pytest.fixture(scope="module")
def options(smollm2_server):
    return {"model": "openai/smollm2", "api_base": smollm2_server.url + "/v1", "api_key": "none", "max_retries": 0, "temperature": 0, "max_tokens": 16}


def text_of(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_completion_and_its_stream(options):
    whole = litellm.completion(messages=QUESTION, **options)
    assert "Paris" in whole.choices[0].message.content and whole.usage.completion_tokens > 0
    chunks = list(litellm.completion(messages=QUESTION, stream=True, stream_options={"include_usage": True}, **options))
    assert text_of(chunks) == whole.choices[0].message.content
    assert litellm.stream_chunk_builder(chunks, messages=QUESTION).usage.total_tokens == whole.usage.total_tokens


def test_coroutines(options):
    async def both():
        whole = await litellm.acompletion(messages=QUESTION, **options)
        stream = await litellm.acompletion(messages=QUESTION, stream=True, **options)
        return whole.choices[0].message.content, "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    whole, streamed = asyncio.run(both())
    assert whole == streamed and "Paris" in whole


def test_text_completion(options):
    answer = litellm.text_completion(prompt="The capital of France is", **{**options, "model": "text-completion-openai/smollm2"})
    assert "Paris" in answer.choices[0].text
    parts = litellm.text_completion(prompt="The capital of France is", stream=True, **{**options, "model": "text-completion-openai/smollm2"})
    assert "".join(part.choices[0].text or "" for part in parts) == answer.choices[0].text


def test_responses(options):
    shared = {key: options[key] for key in ("model", "api_base", "api_key", "temperature")}
    whole = litellm.responses(input="Say hello.", max_output_tokens=16, **shared)
    assert whole.status in ("completed", "incomplete") and whole.output[0].content[0].text
    events = list(litellm.responses(input="Say hello.", max_output_tokens=16, stream=True, **shared))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output[0].content[0].text


def test_embedding(tiny_bert_server):
    made = litellm.embedding(model="openai/bert", input=["hello", "world"], api_base=tiny_bert_server.url + "/v1", api_key="none")
    assert [item["index"] for item in made.data] == [0, 1] and len(made.data[0]["embedding"]) == len(made.data[1]["embedding"])
    assert made.usage.prompt_tokens > 0


def test_errors_become_its_exceptions(options):
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(messages=QUESTION, **{**options, "model": "openai/nope"})
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(messages=QUESTION, **{**options, "temperature": 5})
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.completion(messages=[{"role": "user", "content": "word " * 5000}], **options)


def test_the_other_apis(smollm2_server):
    shared = {"messages": QUESTION, "temperature": 0, "max_tokens": 16}
    for provider in ({"model": "ollama_chat/smollm2", "api_base": smollm2_server.url}, {"model": "anthropic/smollm2", "api_base": smollm2_server.url, "api_key": "none"}):
        whole = litellm.completion(**provider, **shared).choices[0].message.content
        assert whole and text_of(litellm.completion(**provider, stream=True, **shared)) == whole
