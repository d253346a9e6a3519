"""Model files that are not there: the others are served, and a missing one is loaded once it has come."""

import json
import shutil
import signal
import time

import pytest

from program import STORIES, quern
from serving import Server, error_of

STORY = {"prompt": "Once upon a time", "temperature": 0, "max_tokens": 8}


@pytest.fixture
def there(tmp_path):
    return str(shutil.copy(STORIES, tmp_path / "there.gguf"))


def config_of(folder, *models):
    path = folder / "config.json"
    path.write_text(json.dumps({"models": [{"n_ctx": 256, "parallel": 2, **model} for model in models]}))
    return path


@pytest.mark.parametrize("is_first", [True, False])
def test_a_missing_file_stops_nobody_else_and_is_loaded_once_it_is_there(there, tmp_path, is_first):
    late = tmp_path / "late.gguf"
    models = [{"model": str(late), "pin": True, "preload": True}, {"model": there}]
    with Server("--config-file", config_of(tmp_path, *(models if is_first else models[::-1]))) as server:
        warnings = [line for line in server.read_errors().splitlines() if "late.gguf" in line]
        assert len(warnings) == 1 and "the model late " in warnings[0], server.read_errors()
        assert "late (its file is missing)" in server.ready_line
        assert server.get("/ready").status_code == 200
        assert sorted(each["id"] for each in server.get("/v1/models").json()["data"]) == ["late", "there"]
        for _ in range(2):
            refused = server.post("/v1/completions", {**STORY, "model": "late"})
            assert refused.status_code == 503 and refused.headers["x-should-retry"] == "false"
            assert error_of(refused)["code"] == "model_unavailable" and "late.gguf" in error_of(refused)["message"]
        expected = server.post("/v1/completions", {**STORY, "model": "there"})
        assert expected.status_code == 200
        shutil.copy(STORIES, late)
        for _ in range(2):
            answer = server.post("/v1/completions", {**STORY, "model": "late"})
            assert answer.status_code == 200 and answer.json()["choices"] == expected.json()["choices"]
            server.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 20
            while "read the settings anew" not in server.read_errors():
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert server.stop()[0] == 0


def test_a_reload_loads_what_has_come_and_keeps_what_is_loaded_of_a_file_that_has_gone(there, tmp_path):
    late = tmp_path / "late.gguf"
    with Server("--config-file", config_of(tmp_path, {"model": there}, {"model": str(late), "preload": True})) as server:
        shutil.copy(STORIES, late)
        (tmp_path / "there.gguf").unlink()
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while server.get("/v1/models").text.count('"loaded"') < 2:
            assert time.monotonic() < deadline, server.get("/v1/models").text
            time.sleep(0.05)
        assert all(server.post("/v1/completions", {**STORY, "model": name}).status_code == 200 for name in ("there", "late"))


def test_without_any_file_nothing_starts(tmp_path):
    for words in (["-m", tmp_path / "a.gguf"], ["--config-file", config_of(tmp_path, {"model": "a.gguf"}, {"model": "b.gguf"})]):
        done = quern("serve", *words, "--port", 0, check=False)
        assert done.returncode == 1 and "no such model file" in done.stderr and "a.gguf" in done.stderr


def test_a_dry_run_names_every_missing_file(there, tmp_path):
    config = config_of(tmp_path, {"model": "/no/a.gguf"}, {"model": there}, {"model": "/no/b.gguf"})
    done = quern("serve", "--config-file", config, "--dry-run", check=False)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "/no/a.gguf" in last and "/no/b.gguf" in last and "there.gguf" not in last


def test_the_log_can_be_rotated_and_a_changed_draft_is_noticed(there, tmp_path):
    draft, log = tmp_path / "draft.gguf", tmp_path / "log"
    shutil.copy(STORIES, draft)
    config = config_of(tmp_path, {"model": there, "model_draft": str(draft)})
    with Server("--config-file", config, "--log-file", log, "-v") as server:
        log.rename(tmp_path / "log.1")
        time.sleep(0.02)
        shutil.copy(STORIES, tmp_path / "new")
        (tmp_path / "new").rename(draft)
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while not log.exists() or "loaded there" not in log.read_text():
            assert time.monotonic() < deadline, server.read_errors()
            time.sleep(0.02)
        assert "changed: there" in log.read_text() and "changed: there" not in (tmp_path / "log.1").read_text()
        assert "loaded there" in (tmp_path / "log.1").read_text()


def test_errors_name_the_field_that_the_client_sent():
    with Server("-m", STORIES, "-c", 256) as server:
        chat = {"messages": [{"role": "user", "content": "x"}]}
        message = server.post("/v1/messages", {**chat, "max_tokens": 4, "stop_sequences": [""]})
        assert message.status_code == 400 and "stop_sequences" in message.json()["error"]["message"]
        for path, body, param, words in (("/v1/responses", {"input": "x"}, "input", "no chat template"),
                                         ("/v1/chat/completions", chat, "messages", "no chat template"),
                                         ("/v1/rerank", {"query": "", "documents": ["a"]}, "query", "is empty"),
                                         ("/v1/rerank", {"documents": ["a"]}, "query", "is missing"),
                                         ("/v1/completions", {**STORY, "min_tokens": 9}, "min_tokens", "at most 8 tokens")):
            refused = server.post(path, body)
            assert refused.status_code == 400 and error_of(refused)["param"] == param and words in error_of(refused)["message"], refused.text
        assert server.post("/v1/completions", {**STORY, "min_tokens": 8}).status_code == 200


def test_routes_of_other_servers_say_that_they_are_not_here():
    with Server("-m", STORIES, "-c", 256) as server:
        assert server.get("/version").json()["version"]
        for path in ("/models", "/v1/audio/transcriptions", "/slots/0?action=save"):
            refused = server.post(path, {})
            assert refused.status_code == 501 and error_of(refused)["type"] == "not_supported_error", refused.text
            assert refused.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("flags, words", [
    (["--kv-budget", "1", "--n_ctx", "200000"], "KV cache"),
    (["--chat-template-file", "broken.jinja"], "expected an expression"),
    (["--model-draft", "no-such-file.gguf"], "no-such-file.gguf"),
])
def test_a_dry_run_refuses_what_a_start_would_refuse(tmp_path, flags, words):
    (tmp_path / "broken.jinja").write_text("{% if %}")
    flags = [str(tmp_path / flag) if flag.endswith((".jinja", ".gguf")) else flag for flag in flags]
    done = quern("serve", "-m", STORIES, "--dry-run", *flags, check=False)
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_the_log_is_rotated_although_the_settings_have_a_mistake(there, tmp_path):
    log, config = tmp_path / "log", config_of(tmp_path, {"model": there})
    with Server("--config-file", config, "--log-file", log) as server:
        log.rename(tmp_path / "log.1")
        config.write_text("{")
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while not log.exists() or "the settings stay as they were" not in log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert server.post("/v1/completions", STORY).status_code == 200


def test_an_empty_template_file_is_refused(tmp_path):
    (tmp_path / "empty.jinja").touch()
    done = quern("serve", "-m", STORIES, "--chat-template-file", tmp_path / "empty.jinja", "--dry-run", check=False)
    assert done.returncode == 1 and "empty.jinja is empty" in done.stderr
