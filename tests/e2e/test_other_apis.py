"""The Responses API, Anthropic's, Ollama's and llama.cpp's, with the clients that are made for them."""

import json

import anthropic
import ollama
import openai
import pytest
import requests

from program import STORIES
from serving import Server

HELLO = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def server(smollm2_server):
    return smollm2_server


@pytest.fixture(scope="module")
def claude(server):
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def llama(server):
    return ollama.Client(host=server.url)


def test_a_response_is_the_same_whole_and_streamed(server):
    client = server.client()
    options = {"model": "smollm2", "input": "Say hello.", "instructions": "Be brief.", "max_output_tokens": 24, "temperature": 0}
    whole = client.responses.create(**options)
    assert whole.status in ("completed", "incomplete") and whole.output_text
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    with client.responses.stream(**options) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[-1].type in ("response.completed", "response.incomplete")


def test_a_response_takes_items_and_refuses_state(server):
    client = server.client()
    items = [{"role": "user", "content": [{"type": "input_text", "text": "My name is Ann."}]},
             {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello Ann."}]},
             {"role": "user", "content": "Who am I?"}]
    assert client.responses.create(model="smollm2", input=items, max_output_tokens=16, include=["message.output_text.logprobs"]).output[0].content[0].logprobs
    for field, value in (("previous_response_id", "resp_1"), ("background", True), ("tools", [{"type": "web_search"}]), ("truncation", "auto")):
        with pytest.raises(openai.BadRequestError) as refusal:
            client.responses.create(model="smollm2", input="x", **{field: value})
        assert refusal.value.param == field


def test_anthropic_messages(claude):
    options = {"model": "smollm2", "max_tokens": 24, "messages": HELLO, "system": [{"type": "text", "text": "Be brief."}], "extra_body": {"temperature": 0}}
    whole = claude.messages.create(**options)
    assert whole.content[0].text and whole.stop_reason in ("end_turn", "max_tokens") and whole.usage.output_tokens > 0
    with claude.messages.stream(**options) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
        assert stream.get_final_message().stop_reason == whole.stop_reason
    assert claude.messages.count_tokens(model="smollm2", messages=HELLO, system=options["system"]).input_tokens > 5


def test_anthropic_stops_and_goes_on_with_a_prefill(claude):
    stopped = claude.messages.create(model="smollm2", max_tokens=50, extra_body={"temperature": 0}, stop_sequences=[","],
                                     messages=[{"role": "user", "content": "Count to ten."}, {"role": "assistant", "content": "1, 2, 3"}])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", ",")
    assert "," not in stopped.content[0].text


@pytest.mark.parametrize("cut", [slice(2, 5), slice(9, 13)])
def test_a_stop_string_inside_a_token_is_named(claude, server, cut):
    body = {"prompt": "Once upon a time", "n_predict": 20, "temperature": 0, "ignore_eos": True}
    stop = server.post("/completion", body).json()["content"][cut]
    cut_short = server.post("/completion", {**body, "stop": ["never there", stop]}).json()
    assert (cut_short["stop_type"], cut_short["stopping_word"]) == ("word", stop)
    options = {"model": "smollm2", "max_tokens": 20, "extra_body": {"temperature": 0}, "messages": HELLO}
    stop = claude.messages.create(**options).content[0].text[cut]
    with claude.messages.stream(**options, stop_sequences=[stop]) as stream:
        final = stream.get_final_message()
    for message in (claude.messages.create(**options, stop_sequences=[stop]), final):
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", stop)


def test_anthropic_errors_have_their_shape(claude, server):
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="nope", max_tokens=5, messages=HELLO)
    with pytest.raises(anthropic.BadRequestError) as refusal:
        claude.messages.create(model="smollm2", max_tokens=5, messages=HELLO, tools=[{"name": "f", "input_schema": {"type": "object"}}])
    assert refusal.value.body["type"] == "error" and "tools" in refusal.value.body["error"]["message"]


def test_ollama_chats_and_generates(llama):
    options = {"temperature": 0, "num_predict": 16, "seed": 1}
    whole = llama.chat(model="smollm2", messages=HELLO, options=options)
    assert whole.message.content and whole.done and whole.eval_count <= 16
    parts = list(llama.chat(model="smollm2", messages=HELLO, options=options, stream=True))
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert parts[-1].done and not parts[0].done
    text = llama.generate(model="smollm2:latest", prompt="Once", raw=True, options=options)
    assert text.response and text.done_reason in ("stop", "length")
    assert llama.generate(model="smollm2").done_reason == "load"


def test_ollama_lists_and_shows(llama, server):
    assert [model.model for model in llama.list().models] == ["smollm2"]
    assert [model.model for model in llama.ps().models] == ["smollm2"]
    assert llama.show("smollm2").modelinfo["general.architecture"] == "llama"
    assert server.get("/api/version").json()["version"]
    with pytest.raises(ollama.ResponseError) as refusal:
        llama.chat(model="nope", messages=HELLO)
    assert refusal.value.status_code == 404 and "smollm2" in str(refusal.value)


def test_an_answer_goes_on_where_the_last_message_ends(server):
    client = server.client()
    options = {"model": "smollm2", "temperature": 0, "max_tokens": 8}
    messages = [{"role": "user", "content": "Count to five."}, {"role": "assistant", "content": "1, 2, 3,"}]
    assert client.chat.completions.create(messages=messages, **options).choices[0].message.content.strip().startswith("4")


def test_native_completion(server):
    body = {"prompt": "Once upon a time", "n_predict": 8, "temperature": 0, "n_probs": 2}
    whole = server.post("/completion", body).json()
    assert whole["stop"] and whole["stop_type"] in ("limit", "eos") and len(whole["completion_probabilities"]) == 8
    assert whole["completion_probabilities"][0]["id"] == whole["completion_probabilities"][0]["top_logprobs"][0]["id"]
    response = server.post("/completion", {**body, "stream": True})
    events = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]
    assert "".join(event["content"] for event in events) == whole["content"] and events[-1]["stop"]
    word = server.post("/completion", {**body, "prompt": ["Once", 253, " a time"], "stop": [","], "n_predict": 60}).json()
    assert word["stop_type"] in ("word", "limit", "eos")
    assert word["stop_type"] != "word" or word["stopping_word"] == ","


def test_tokens_and_templates(server):
    text = "Hello wörld <|im_end|>"
    tokens = server.post("/tokenize", {"content": text}).json()["tokens"]
    assert server.post("/detokenize", {"tokens": tokens}).json()["content"] == text
    pieces = server.post("/tokenize", {"content": text, "with_pieces": True, "parse_special": False}).json()["tokens"]
    assert len(pieces) > len(tokens) and all(set(piece) == {"id", "piece"} for piece in pieces)
    assert server.post("/extras/tokenize/count", {"input": text}).json()["count"] == len(server.post("/extras/tokenize", {"input": text}).json()["tokens"])
    assert server.post("/extras/detokenize", {"tokens": tokens}).json()["text"] == text
    prompt = server.post("/apply-template", {"messages": HELLO}).json()["prompt"]
    assert prompt.endswith("<|im_start|>assistant\n") and "Say hello." in prompt
    counted = server.post("/v1/chat/completions/input_tokens", {"messages": HELLO}).json()["input_tokens"]
    assert counted == len(server.post("/tokenize", {"content": prompt}).json()["tokens"])


def test_the_server_tells_about_itself(server):
    server.post("/v1/completions", {"prompt": "x", "max_tokens": 1})
    metrics = server.get("/metrics").text
    assert 'quern_requests_total{route="/v1/completions",status="200"}' in metrics and "quern_first_token_seconds_bucket" in metrics
    assert server.get("/props").json()["total_slots"] == len(server.get("/slots").json())
    assert server.get("/ready").status_code == 200
    document = server.get("/openapi.json").json()
    temperature = document["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]["temperature"]
    assert (temperature["minimum"], temperature["maximum"]) == (0, 2)
    assert "openapi.json" in server.get("/docs").text and server.get("/redoc").text == server.get("/docs").text


def test_a_prompt_is_scored_as_the_model_generates_it():
    """echo with log probabilities, as lm-eval asks for them: those of the prompt are those of generating it."""
    with Server("-m", STORIES) as server:
        made = server.post("/v1/completions", {"prompt": "Once upon", "max_tokens": 12, "temperature": 0, "logprobs": 3}).json()["choices"][0]
        prompt = "Once upon" + made["text"]
        for extra in (0, 1):
            scored = server.post("/v1/completions", {"prompt": prompt, "max_tokens": extra, "temperature": 0, "logprobs": 3, "echo": True}).json()["choices"][0]
            lists = scored["logprobs"]
            assert scored["text"].startswith(prompt)
            assert lists["token_logprobs"][0] is None and lists["top_logprobs"][0] is None
            assert len(lists["tokens"]) == len(lists["token_logprobs"]) == len(lists["top_logprobs"]) == len(lists["text_offset"])
            end = len(lists["tokens"]) - extra
            assert lists["token_logprobs"][end - 12:end] == pytest.approx(made["logprobs"]["token_logprobs"], abs=2e-3)
        best = server.post("/v1/completions", {"prompt": "Once", "max_tokens": 6, "n": 2, "best_of": 5, "seed": 1, "logprobs": 0}).json()
        means = [sum(choice["logprobs"]["token_logprobs"]) / len(choice["logprobs"]["token_logprobs"]) for choice in best["choices"]]
        assert [choice["index"] for choice in best["choices"]] == [0, 1] and means == sorted(means, reverse=True)


BAD_BODIES = ["", "{", "[]", "5", "\"x\"", "{\"model\": 5}", "{\"messages\": 5}", "{\"messages\": [5]}", "{\"messages\": [{\"role\": []}]}", "{\"prompt\": {}, \"input\": {}}",
              "{\"input\": [[]]}", "{\"input\": [{\"type\": 5}]}", "{\"tokens\": [-1]}", "{\"tokens\": [99999999]}", "{\"tokens\": {}}", "{\"content\": 5}", "{\"options\": 5}",
              "{\"options\": {\"temperature\": \"x\"}, \"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"prompt\": \"x\"}", "{\"system\": 5, \"messages\": [{}]}",
              "{\"stream\": \"yes\", \"messages\": []}", "{\"input_extra\": [5]}", "[" * 100_000, "{\"a\":" * 70 + "1" + "}" * 70, b"\xff\xfe"]


def test_no_body_is_a_server_error(stories_server):
    document = stories_server.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        if "post" not in methods:
            continue
        for body in BAD_BODIES:
            response = stories_server.post(path, body)
            assert response.status_code < 500, (path, body, response.text)
            assert ("error" in response.json()) == (response.status_code >= 400), (path, body, response.text)
    assert stories_server.get("/health").status_code == 200


def test_embeddings_of_a_model_without_them_are_a_400(stories_server):
    for path, body in (("/v1/embeddings", {"input": "x"}), ("/v1/rerank", {"query": "x", "documents": ["y"]}), ("/api/embed", {"model": "stories260K", "input": "x"})):
        response = stories_server.post(path, body)
        assert response.status_code == 400 and "embeddings" in json.dumps(response.json())


def test_requests_library_reads_ndjson(stories_server):
    response = requests.post(stories_server.url + "/api/generate", json={"model": "stories260K", "prompt": "Once", "options": {"num_predict": 5}}, timeout=60)
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert json.loads(response.text.splitlines()[-1])["done"]
