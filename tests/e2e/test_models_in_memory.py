"""Several models in one server: what is loaded when, who makes room for whom, and files that are damaged while they are in use."""

import concurrent.futures
import json
import os
import shutil
import time

import pytest

from program import STORIES, quern
from serving import Server, error_of

KEY = {"Authorization": "Bearer k"}
TEXT = "Once upon a time there was a little girl who lived in a big house."


def ask(server, model, **fields):
    body = {"model": model, "prompt": TEXT, "max_tokens": 8, "temperature": 0, **fields}
    return server.post("/v1/completions", body, headers=KEY)


def text_of(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["text"]


def models(server):
    return {model["id"]: model for model in server.get("/v1/models", headers=KEY).json()["data"]}


def state(server, model):
    return models(server)[model]["status"]["value"]


def wait_for(is_true, seconds=20):
    start = time.monotonic()
    while not is_true():
        assert time.monotonic() - start < seconds
        time.sleep(0.05)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Copies of one model, so that each is a file of its own."""
    folder = tmp_path_factory.mktemp("models")
    for name in "abcd":
        shutil.copy(STORIES, folder / f"{name}.gguf")
    return folder


def serve(files, entries, *flags, **server):
    path = files / f"config-{time.monotonic_ns()}.json"
    path.write_text(json.dumps({**server, "api_key": "k", "models": [{"n_ctx": 128, "parallel": 2, **entry} for entry in entries]}))
    return Server("--config_file", path, *flags)


def test_models_are_loaded_when_asked_for_and_once_for_all_who_ask(files):
    with serve(files, [{"model": str(files / "a.gguf")}, {"model": str(files / "b.gguf")}, {"model": str(files / "c.gguf"), "preload": True}]) as server:
        assert [state(server, name) for name in "abc"] == ["loaded", "unloaded", "loaded"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            texts = list(pool.map(lambda _: text_of(ask(server, "b")), range(8)))
        assert len(set(texts)) == 1
        _, errors = server.stop()
    assert errors.count("stories260K:\n") == 3, errors  # a table for each load, and b was loaded once


def test_the_same_file_with_other_settings_shares_its_weights(files):
    path = str(files / "a.gguf")
    with serve(files, [{"model": path, "model_alias": "short", "n_ctx": 64}, {"model": path, "model_alias": "long", "preload": True}]) as server:
        assert text_of(ask(server, "short")) == text_of(ask(server, "long"))
        assert models(server)["short"]["meta"]["n_ctx"] == 64 and models(server)["long"]["meta"]["n_ctx"] == 128
        assert ask(server, "short", prompt=TEXT * 5).status_code == 400
        assert ask(server, "long", prompt=TEXT * 5).status_code == 200
        with open(f"/proc/{server.process.pid}/smaps") as smaps:
            mapped = [line for line in smaps if path in line]
        assert len(mapped) == 2  # the same pages of one file


def budget_for(files, n):
    """MiB that n of the models take, but not one more."""
    one = sum(float(line.split("MiB")[0].split()[-1]) for line in quern("serve", "-m", files / "a.gguf", "-c", 128, "--parallel", 2, "--dry-run", "-b", 512)
              .stdout.splitlines() if line.startswith(("  weights", "  work")))
    return int(one * n + 2)


def test_the_least_recently_used_makes_room_and_a_pinned_one_does_not(files):
    entries = [{"model": str(files / f"{name}.gguf"), "kv_budget": 1, "pin": name == "a"} for name in "abcd"]
    with serve(files, entries, memory_budget=budget_for(files, 3) + 3) as server:
        for name in "bcb":
            text_of(ask(server, name))
        assert [state(server, name) for name in "abcd"] == ["loaded", "loaded", "loaded", "unloaded"]
        text_of(ask(server, "d"))
        assert [state(server, name) for name in "abcd"] == ["loaded", "loaded", "unloaded", "loaded"]


def test_a_model_that_nobody_uses_goes_after_its_time(files):
    with serve(files, [{"model": str(files / "a.gguf"), "ttl": 1}]) as server:
        text_of(ask(server, "a"))
        wait_for(lambda: state(server, "a") == "unloaded")
        text_of(ask(server, "a"))


def test_a_model_in_use_is_not_unloaded(files):
    with serve(files, [{"model": str(files / "a.gguf"), "n_ctx": 16384}]) as server:
        stream = ask_stream(server, "a", max_tokens=16000)
        next(stream)
        refused = server.post("/v1/models/unload", {"model": "a"}, headers=KEY)
        assert refused.status_code == 409 and error_of(refused)["code"] == "model_in_use" and "Retry-After" in refused.headers
        stream.close()
        wait_for(lambda: server.post("/v1/models/unload", {"model": "a"}, headers=KEY).status_code == 200)
        assert state(server, "a") == "unloaded"


def ask_stream(server, model, **fields):
    """The events of a stream, from the first on; close() ends it."""
    import requests
    body = {"model": model, "prompt": TEXT, "temperature": 0, "ignore_eos": True, "stream": True, **fields}
    with requests.post(server.url + "/v1/completions", data=json.dumps(body), headers=KEY, stream=True, timeout=60) as response:
        for line in response.iter_lines():
            if line.startswith(b"data: "):
                yield line[6:].decode()


def test_a_load_that_fails_leaves_the_others_alone(files):
    broken = files / "broken.gguf"
    broken.write_bytes(STORIES.read_bytes()[:-1000])
    with serve(files, [{"model": str(files / "a.gguf")}, {"model": str(broken)}]) as server:
        for _ in range(2):
            answer = ask(server, "broken")
            assert answer.status_code == 500 and str(broken) in error_of(answer)["message"]
        assert state(server, "broken") == "failed" and state(server, "a") == "loaded"
        text_of(ask(server, "a"))
        shutil.copy(STORIES, broken)
        assert text_of(ask(server, "broken")) == text_of(ask(server, "a"))


@pytest.mark.parametrize("damage", ["truncate", "empty", "overwrite"])
def test_a_file_that_is_damaged_while_in_use_fails_its_own_requests_only(damage, files):
    path = files / f"{damage}.gguf"
    shutil.copy(STORIES, path)
    with serve(files, [{"model": str(files / "a.gguf")}, {"model": str(path), "preload": True, "n_ctx": 16384}]) as server:
        expected = text_of(ask(server, "a"))
        assert text_of(ask(server, damage)) == expected
        stream, other = ask_stream(server, damage, max_tokens=16000), ask_stream(server, "a", max_tokens=60)
        next(stream), next(other)
        if damage == "overwrite":
            with open(path, "r+b") as file:
                file.seek(-4000, os.SEEK_END)
                file.write(b"\xff" * 4000)
        else:
            os.truncate(path, 0 if damage == "empty" else path.stat().st_size // 2)
        events = list(stream)
        assert str(path) in json.loads(events[-1])["error"]["message"], events[-1]
        assert json.loads(list(other)[-2])["choices"][0]["finish_reason"] == "length"  # the other model goes on
        wait_for(lambda: state(server, damage) == "failed")
        if damage != "overwrite":
            answer = ask(server, damage)
            assert answer.status_code == 500 and str(path) in error_of(answer)["message"]
        shutil.copy(STORIES, path)
        assert text_of(ask(server, damage)) == expected
        assert text_of(ask(server, "a")) == expected
        assert server.process.poll() is None


def test_an_idle_models_damage_is_seen_by_the_next_request(files):
    path = files / "idle.gguf"
    shutil.copy(STORIES, path)
    with serve(files, [{"model": str(files / "a.gguf")}, {"model": str(path), "preload": True}]) as server:
        text_of(ask(server, "idle"))
        os.truncate(path, 5000)
        answer = ask(server, "idle")
        assert answer.status_code == 500 and str(path) in error_of(answer)["message"]
        replacement = files / "replacement"
        shutil.copy(STORIES, replacement)
        replacement.rename(path)
        text_of(ask(server, "idle"))
        shutil.copy(STORIES, replacement)
        replacement.rename(path)  # replaced as a whole: the old file stays until it is unloaded
        text_of(ask(server, "idle"))
        assert state(server, "idle") == "loaded"


def test_a_draft_models_memory_is_told(files):
    with serve(files, [{"model": str(files / "a.gguf"), "model_draft": str(files / "b.gguf")}]) as server:
        text_of(ask(server, "a"))
        _, errors = server.stop()
    assert "draft: weights" in errors and str(files / "b.gguf") in errors and "draft: cache" in errors
