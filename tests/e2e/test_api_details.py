"""Details of the APIs that newcomers run into: fields with no effect, Ollama's keep_alive, routes of other servers, errors at the start."""

import json
import subprocess
import time

import pytest
import requests

import tiny_bert
from program import QUERN, STORIES
from serving import Server, error_of

KEY = {"Authorization": "Bearer secret"}


def loaded(server):
    return [model["model"] for model in server.get("/api/ps", headers=KEY).json()["models"]]


def test_keep_alive_unloads_and_keeps():
    with Server("-m", STORIES, "--model-alias", "tiny", "--api-key", "secret") as server:
        ask = {"model": "tiny", "prompt": "Once", "stream": False, "options": {"num_predict": 3}}
        assert server.post("/api/generate", {**ask, "keep_alive": 0}, headers=KEY).json()["response"]
        deadline = time.monotonic() + 10
        while loaded(server) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert loaded(server) == []
        unloaded = server.post("/api/generate", {"model": "tiny", "keep_alive": "0s"}, headers=KEY).json()
        assert unloaded["done"] and unloaded["done_reason"] == "unload" and loaded(server) == []
        assert server.post("/api/generate", {"model": "tiny", "keep_alive": "1h"}, headers=KEY).json()["done_reason"] == "load"
        assert server.get("/api/ps", headers=KEY).json()["models"][0]["expires_at"] < "9999"
        assert server.post("/api/chat", {"model": "tiny", "keep_alive": 0, "messages": []}, headers=KEY).json()["done_reason"] == "unload"
        assert loaded(server) == []
        assert server.post("/v1/completions", {"prompt": "Once", "max_tokens": 2}, headers=KEY).status_code == 200
        assert server.get("/api/ps", headers=KEY).json()["models"][0]["expires_at"] > "9999"


def test_keep_alive_is_ignored_without_keys(stories_server):
    assert stories_server.post("/api/generate", {"keep_alive": 0}).json()["done_reason"] == "load"
    assert stories_server.get("/api/ps").json()["models"]


def test_routes_of_other_servers(tmp_path):
    path = tmp_path / "model.gguf"
    tiny_bert.write(path)
    with Server("-m", STORIES, "-m", path, "--model-alias", "tiny", "--chat-format", "chatml") as server:
        body = {"input": "Hello", "instructions": "Be brief."}
        counted = server.post("/v1/responses/input_tokens", body).json()
        assert counted == {"object": "response.input_tokens", "input_tokens": server.post("/v1/responses", {**body, "max_output_tokens": 16}).json()["usage"]["input_tokens"]}
        ids = [model["id"] for model in server.get("/v1/models").json()["data"]]
        bert = ids[1]
        new = server.post("/api/embed", {"model": bert, "input": "Hello"}).json()["embeddings"][0]
        assert server.post("/api/embeddings", {"model": bert, "prompt": "Hello"}).json()["embedding"] == pytest.approx(new)
        assert server.post("/api/embeddings", {"model": bert, "prompt": ""}).json() == {"embedding": []}
        native = server.post("/embedding", {"model": bert, "content": ["Hello", "you"]}).json()
        assert [each["index"] for each in native] == [0, 1] and native[0]["embedding"][0] == pytest.approx(new)
        assert server.get("/healthz").status_code == 200
        for route, body in (("/v1/completions", {"prompt": "x"}), ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]})):
            error = error_of(server.post(route, {"model": bert, **body}))
            assert f"the model {bert} makes vectors" in error["message"]


def test_a_compressed_body_is_refused(stories_server):
    response = requests.post(stories_server.url + "/v1/completions", data=b"x", headers={"Content-Encoding": "gzip"}, timeout=30)
    assert response.status_code == 415 and "Content-Encoding" in response.json()["error"]["message"]


def test_timings_tell_of_guesses():
    with Server("-m", STORIES, "--draft-ngram", "3") as server:
        body = {"prompt": "one two three one two three one two three one two", "max_tokens": 60, "temperature": 0}
        timings = server.post("/v1/completions", body).json()["timings"]
        assert 0 <= timings["draft_n_accepted"] <= timings["draft_n"] and timings["draft_n"] > 0
    with Server("-m", STORIES) as server:
        assert "draft_n" not in server.post("/v1/completions", body).json()["timings"]


def test_the_same_model_twice_with_other_settings_is_told(tmp_path):
    def start(second):
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"host": "127.0.0.1", "port": 0, "models": [{"model": str(STORIES), "model_alias": "a", "n_ctx": 128}, {"model": str(STORIES), "model_alias": "a", **second}]}))
        with Server("--config-file", config) as server:
            return server.stop()[1]

    told = [line for line in start({"n_ctx": 64, "chat_format": "chatml", "pin": True}).splitlines() if "listed twice" in line]
    assert len(told) == 1 and "n_ctx" in told[0] and "chat_format" in told[0] and "pin" not in told[0]
    assert "listed twice" not in start({"n_ctx": 128})


def complaint(*arguments):
    done = subprocess.run([str(QUERN), "serve", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    return done.stderr


def test_a_socket_file_is_neither_taken_from_a_file_nor_left_behind(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    told = complaint("-m", STORIES, "--host", f"unix:{file}")
    assert str(file) in told and "is no socket" in told and "--port" not in told and file.read_text() == "mine"
    socket_file = tmp_path / "quern.sock"
    assert "missing.gguf" in complaint("-m", tmp_path / "missing.gguf", "--host", f"unix:{socket_file}")
    assert not socket_file.exists()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    assert "broken.gguf" in complaint("-m", broken, "--host", f"unix:{socket_file}")
    assert not socket_file.exists()


def test_fields_of_an_answer_can_be_chosen(stories_server):
    paths = ["content", "generation_settings/n_predict", "timings/no_such", "no_such"]
    body = {"prompt": "Once upon", "n_predict": 4, "temperature": 0}
    whole = stories_server.post("/completion", body).json()
    chosen = {"content": whole["content"], "generation_settings/n_predict": 4}
    assert stories_server.post("/completion", {**body, "response_fields": paths}).json() == chosen
    assert stories_server.post("/completion", {**body, "response_fields": []}).json().keys() == whole.keys()
    stream = stories_server.post("/completion", {**body, "response_fields": paths, "stream": True}).text
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    assert "".join(event["content"] for event in events[:-1]) == whole["content"] and events[-1] == {**chosen, "content": ""}
    for wrong in ("content", [5], ["x"] * 257):
        assert error_of(stories_server.post("/completion", {**body, "response_fields": wrong}))["param"].startswith("response_fields")


def test_a_prompt_may_be_an_object(stories_server):
    body = {"n_predict": 4, "temperature": 0}
    plain = stories_server.post("/completion", {**body, "prompt": "Once upon"}).json()["content"]
    as_object = {"prompt_string": "Once upon", "multimodal_data": []}
    assert stories_server.post("/completion", {**body, "prompt": as_object}).json()["content"] == plain
    several = stories_server.post("/completion", {**body, "prompt": ["Once upon", as_object]}).json()
    assert [each["content"] for each in several] == [plain, plain]
    for wrong in ({}, {"prompt_string": 5}, {"prompt_string": "x", "multimodal_data": ["aGk="]}, [{}]):
        assert error_of(stories_server.post("/completion", {**body, "prompt": wrong}))["param"].startswith("prompt")


def test_a_time_limit_ends_an_answer_that_has_a_line_break(smollm2_server):
    line_break, letter = (smollm2_server.post("/tokenize", {"content": text}).json()["tokens"] for text in ("\n", "a"))
    body = {"prompt": "Once upon", "temperature": 0, "t_max_predict_ms": 100, "ignore_eos": True}
    ended = smollm2_server.post("/completion", {**body, "n_predict": 1500, "logit_bias": [[line_break[0], 100]]}).json()
    assert ended["stop_type"] == "limit" and 2 <= ended["tokens_predicted"] < 1500
    assert ended["content"] == "\n" * len(ended["content"])
    no_line = smollm2_server.post("/completion", {**body, "t_max_predict_ms": 1, "n_predict": 40, "logit_bias": [[letter[0], 100]]}).json()
    assert no_line["stop_type"] == "limit" and no_line["tokens_predicted"] == 40
