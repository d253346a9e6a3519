"""The official Python client on the routes beside plain chats: responses and their events, raw responses, batches, scores, vectors, coroutines."""

import asyncio
import struct
import base64

import openai
import pytest

HELLO = [{"role": "user", "content": "Say hello."}]
RESPONSE = {"model": "smollm2", "input": "Say hello.", "max_output_tokens": 16, "temperature": 0}


@pytest.fixture(scope="module")
def client(smollm2_server):
    return smollm2_server.client()


@pytest.fixture(scope="module")
def vectors(tiny_bert_server):
    return tiny_bert_server.client()


def test_the_events_of_a_response_come_in_order(client):
    events = list(client.responses.create(**RESPONSE, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [event.type for event in events]
    order = list(dict.fromkeys(types))
    assert order[:5] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.delta"]
    assert order[5:8] == ["response.output_text.done", "response.content_part.done", "response.output_item.done"]
    assert order[8] in ("response.completed", "response.incomplete") and len(order) == 9
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    done = next(event for event in events if event.type == "response.output_text.done")
    item = next(event for event in events if event.type == "response.output_item.done").item
    assert done.text == text == item.content[0].text == events[-1].response.output_text
    assert events[-1].response.id == events[0].response.id and done.item_id == item.id
    assert events[-1].response.usage.output_tokens > 0 and events[0].response.usage is None


def test_a_response_that_is_cut_off_says_so(client):
    cut = client.responses.create(model="smollm2", input="Count to one hundred.", max_output_tokens=16, temperature=0)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_raw_responses_show_headers(client):
    raw = client.chat.completions.with_raw_response.create(model="smollm2", messages=HELLO, max_tokens=2)
    assert raw.status_code == 200 and raw.headers["x-request-id"] and raw.parse().choices
    with client.chat.completions.with_streaming_response.create(model="smollm2", messages=HELLO, max_tokens=2) as streaming:
        assert "choices" in streaming.read().decode()
    assert client.models.with_raw_response.list().parse().data[0].id == "smollm2"


def test_a_request_id_of_the_client_comes_back(client):
    raw = client.models.with_raw_response.list(extra_headers={"X-Request-ID": "mine-1"})
    assert raw.headers["x-request-id"]


def test_batches_of_prompts_with_several_choices(client):
    answer = client.completions.create(model="smollm2", prompt=["Once", "The sky is"], n=2, max_tokens=3, seed=1, echo=True)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert all(choice.text.startswith(prompt) for choice, prompt in zip(answer.choices, ["Once", "Once", "The sky is", "The sky is"]))
    assert answer.usage.completion_tokens <= 12
    text = {i: "" for i in range(4)}
    for chunk in client.completions.create(model="smollm2", prompt=["Once", "The sky is"], n=2, max_tokens=3, seed=1, stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            text[choice.index] += choice.text
        usage = chunk.usage
    assert usage.completion_tokens == answer.usage.completion_tokens
    assert [answer.choices[i].text.endswith(text[i]) for i in range(4)] == [True] * 4


def test_log_probabilities_of_completions(client):
    made = client.completions.create(model="smollm2", prompt="The capital of France is", max_tokens=3, logprobs=2, temperature=0, echo=True).choices[0].logprobs
    assert made.token_logprobs[0] is None and made.top_logprobs[0] is None
    assert len(made.tokens) == len(made.token_logprobs) == len(made.top_logprobs) == len(made.text_offset)
    assert all(len(top) in (2, 3) for top in made.top_logprobs[1:]) and made.text_offset[0] == 0
    best = client.completions.create(model="smollm2", prompt="Once", max_tokens=3, best_of=4, n=2, seed=2)
    assert len(best.choices) == 2
    with pytest.raises(openai.BadRequestError) as refusal:
        client.completions.create(model="smollm2", prompt="Once", best_of=1, n=2)
    assert refusal.value.param == "best_of"


def test_embeddings_are_base64_or_floats(vectors):
    coded = vectors.embeddings.create(model="bert", input=["hello", "world"])  # asks for base64 by itself
    plain = vectors.embeddings.create(model="bert", input=["hello", "world"], encoding_format="float")
    for a, b in zip(coded.data, plain.data):
        assert a.embedding == pytest.approx(b.embedding, abs=1e-6) and sum(x * x for x in a.embedding) == pytest.approx(1, abs=1e-4)
    raw = vectors.embeddings.with_raw_response.create(model="bert", input="hello", encoding_format="base64").http_response.json()
    data = base64.b64decode(raw["data"][0]["embedding"])
    assert struct.unpack(f"<{len(data) // 4}f", data) == pytest.approx(plain.data[0].embedding, abs=1e-6)
    ids = vectors.embeddings.create(model="bert", input=[[5, 6, 7], [8, 9]])
    assert [item.index for item in ids.data] == [0, 1] and ids.usage.prompt_tokens == 5
    assert len(vectors.embeddings.create(model="bert", input="x", dimensions=4).data[0].embedding) == 4
    for bad in ({"input": ""}, {"input": []}, {"input": "x", "dimensions": 100_000}, {"input": ["x"] * 2049}):
        with pytest.raises(openai.BadRequestError):
            vectors.embeddings.create(model="bert", **bad)


def test_all_of_it_in_coroutines(smollm2_server, tiny_bert_server):
    async def run():
        async with smollm2_server.async_client() as client, tiny_bert_server.async_client() as vectors:
            async def streamed():
                stream = await client.chat.completions.create(model="smollm2", messages=HELLO, max_tokens=8, temperature=0, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            async def events():
                async with client.responses.stream(**RESPONSE) as stream:
                    events = [event async for event in stream]
                    return [event.type for event in events], events[-1].response.output_text

            chat, text, (types, final), response, completion, models, vector = await asyncio.gather(
                client.chat.completions.create(model="smollm2", messages=HELLO, max_tokens=8, temperature=0), streamed(), events(), client.responses.create(**RESPONSE),
                client.completions.create(model="smollm2", prompt="Once", max_tokens=2), client.models.list(), vectors.embeddings.create(model="bert", input="x"))
            assert chat.choices[0].message.content == text and final == response.output_text
            assert types[0] == "response.created" and completion.choices and models.data and vector.data

    asyncio.run(run())


def test_misspelt_fields_are_not_passed_over(client):
    for field in ("temprature", "maxTokens", "max_new_tokens", "top-p"):
        with pytest.raises(openai.BadRequestError) as refusal:
            client.chat.completions.create(model="smollm2", messages=HELLO, max_tokens=1, extra_body={field: 1})
        assert refusal.value.param == field and refusal.value.code == "unsupported_parameter"
    assert client.chat.completions.create(model="smollm2", messages=HELLO, max_tokens=1, extra_body={"of_somebody_else": 1})
    assert client.completions.create(model="smollm2", prompt="x", extra_body={"n_predict": 3, "ignore_eos": True}).usage.completion_tokens == 3
