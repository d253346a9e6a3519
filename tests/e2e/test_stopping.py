"""SIGTERM under load: running answers end, those that wait are told, nothing keeps the process."""

import concurrent.futures
import json
import shutil
import signal
import subprocess
import time

import pytest
import requests

from program import QUERN, STORIES
from serving import Server, error_of
from test_models_in_memory import KEY, budget_for, serve

STORY = {"prompt": "Once upon a time", "temperature": 0, "ignore_eos": True}


def start_stream(server, **fields):
    """A stream whose head has come."""
    return requests.post(server.url + "/v1/completions", data=json.dumps({**STORY, "stream": True, **fields}), headers=KEY, stream=True, timeout=60)


def lines_of(stream):
    with stream:
        return [line.decode() for line in stream.iter_lines() if line]


def events_of(stream):
    return [line[6:] for line in lines_of(stream) if line.startswith("data: ")]


def finish_of(events):
    """How a stream ended: its finish_reason, or the code of its error; it has to say either."""
    last = json.loads(events[-2] if events[-1] == "[DONE]" else events[-1])
    return last["error"]["code"] if "error" in last else last["choices"][0]["finish_reason"]


@pytest.mark.parametrize("stop_timeout,ends", [(30, {"length"}), (1, {"shutting_down", "length"})])
def test_fifty_streams_end_in_time(stop_timeout, ends):
    n_tokens = 60 if stop_timeout > 1 else 16000
    with Server("-m", STORIES, "-c", 16384, "--parallel", 16, "--stop-timeout", stop_timeout, "--kv-budget", 64) as server:
        streams = [start_stream(server, max_tokens=n_tokens) for _ in range(50)]
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        if server.process.poll() is None:
            try:
                refused = server.post("/v1/completions", STORY)
                assert refused.status_code == 503 and refused.headers["Retry-After"] and error_of(refused)["code"] == "shutting_down"
            except requests.ConnectionError:
                pass  # it was done before
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            finishes = set(pool.map(lambda stream: finish_of(events_of(stream)), streams))
        assert finishes <= ends, finishes
        assert server.process.wait(timeout=30) == 0
        if stop_timeout == 1:
            assert "shutting_down" in finishes and time.monotonic() - start < 6


def test_a_hundred_queued_requests_and_a_long_prompt_do_not_keep_it():
    with Server("-m", STORIES, "-c", 16384, "--parallel", 1, "--stop-timeout", 1, "-t", 1) as server:
        long = start_stream(server, prompt="word " * 3000, max_tokens=16000)
        queued = [start_stream(server, max_tokens=16000) for _ in range(100)]
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            finishes = set(pool.map(lambda stream: finish_of(events_of(stream)), [long, *queued]))
        assert finishes == {"shutting_down"}
        assert server.process.wait(timeout=30) == 0 and time.monotonic() - start < 6


def test_a_second_signal_ends_it_at_once():
    with Server("-m", STORIES, "-c", 16384, "--parallel", 16, "--kv-budget", 64) as server:
        streams = [start_stream(server, max_tokens=16000) for _ in range(50)]
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=10) == 0 and time.monotonic() - start < 3
        for stream in streams:
            stream.close()


@pytest.fixture
def two_models(tmp_path):
    """A server with room for one of its two models."""
    for name in "abcd":
        shutil.copy(STORIES, tmp_path / f"{name}.gguf")

    def start(**server):
        entries = [{"model": str(tmp_path / f"{name}.gguf"), "kv_budget": 1, "n_ctx": 128} for name in "ab"]
        return serve(tmp_path, entries, memory_budget=budget_for(tmp_path, 1) + 2, **server)

    return start


def test_a_request_that_waits_for_a_model_ends_with_the_server(two_models):
    with two_models(stop_timeout=1) as server:
        busy = start_stream(server, model="a", prompt=["Once"] * 128, max_tokens=120)
        time.sleep(0.1)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(requests.post, server.url + "/v1/completions", data=json.dumps({**STORY, "model": "b", "max_tokens": 4}), headers=KEY, timeout=60)
            time.sleep(0.1)
            start = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            answer = waiting.result()
        assert answer.status_code in (200, 503)
        if answer.status_code == 503:
            assert answer.headers["Retry-After"] and error_of(answer)["code"] == "shutting_down"
        assert finish_of(events_of(busy)) in ("length", "shutting_down")
        assert server.process.wait(timeout=30) == 0 and time.monotonic() - start < 6


def test_a_model_under_constant_load_lets_another_in(two_models):
    with two_models() as server:
        deadline = time.monotonic() + 60

        def keep_busy(_):
            n = 0
            while not is_over and time.monotonic() < deadline:
                answer = server.post("/v1/completions", {**STORY, "model": "a", "max_tokens": 40}, headers=KEY)
                assert answer.status_code == 200, answer.text
                n += 1
            return n

        is_over = []
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            busy = [pool.submit(keep_busy, i) for i in range(4)]
            time.sleep(0.3)
            for _ in range(3):
                answer = server.post("/v1/completions", {**STORY, "model": "b", "max_tokens": 4}, headers=KEY)
                assert answer.status_code == 200, answer.text
            is_over.append(True)
            assert all(each.result() > 1 for each in busy)


def test_settings_that_a_model_cannot_have_are_the_servers_fault(tmp_path):
    for name in "ab":
        shutil.copy(STORIES, tmp_path / f"{name}.gguf")
    with serve(tmp_path, [{"model": str(tmp_path / "a.gguf")}, {"model": str(tmp_path / "b.gguf"), "type_k": 8}]) as server:
        answer = server.post("/v1/completions", {**STORY, "model": "b", "max_tokens": 4}, headers=KEY)
        assert answer.status_code == 500 and error_of(answer)["code"] == "server_error"
        assert "the model b cannot be loaded" in error_of(answer)["message"] and error_of(answer)["param"] is None
        assert server.post("/v1/completions", {**STORY, "model": "a", "max_tokens": 4}, headers=KEY).status_code == 200


def test_a_queued_request_times_out_too():
    with Server("-m", STORIES, "-c", 16384, "--parallel", 1, "-t", 1, "--timeout", 1) as server:
        long = start_stream(server, max_tokens=16000)
        start = time.monotonic()
        queued = server.post("/v1/completions", {**STORY, "max_tokens": 16000})
        assert queued.status_code == 504 and error_of(queued)["code"] == "timeout" and time.monotonic() - start < 3
        assert finish_of(events_of(long)) == "timeout"
        assert server.post("/v1/completions", {**STORY, "max_tokens": 4}).status_code == 200  # nobody is left in its way


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_first_load_ends_it_in_order(tmp_path, which):
    """Hundreds of models to load before the server is ready: it ends behind the one that it is at, and takes its socket away."""
    socket_path = tmp_path / "q.sock"
    models = [{"model": str(STORIES), "model_alias": f"m{i}", "preload": True, "n_ctx": 128} for i in range(1000)]
    (tmp_path / "config.json").write_text(json.dumps({"models": models}))
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([str(QUERN), "serve", "--config-file", str(tmp_path / "config.json"), "--host", str(socket_path)], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 30
            while "loaded m1" not in (tmp_path / "log").read_text() and "stories260K:" not in (tmp_path / "log").read_text():
                assert time.monotonic() < deadline and process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.01)
            assert socket_path.exists()
            start = time.monotonic()
            process.send_signal(which)
            assert process.wait(timeout=10) == 0 and time.monotonic() - start < 3
        finally:
            process.kill()
    assert not socket_path.exists()
    assert "quern serves" not in (tmp_path / "log").read_text()
