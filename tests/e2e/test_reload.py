"""SIGHUP: the settings are read anew, for requests from then on; what runs ends as it was, and a broken file changes nothing."""

import concurrent.futures
import json
import os
import shutil
import signal
import ssl
import subprocess
import time

import pytest
import requests

from program import STORIES, Terminal
from serving import Server, error_of

STORY = {"prompt": "Once upon a time", "temperature": 0, "max_tokens": 8}


class Reloaded:
    """A server with a configuration file that changes."""

    def __init__(self, folder, *flags, env=None, **settings):
        self.path = folder / "config.yaml"
        self.write(**settings)
        self.server = Server("--config-file", self.path, *flags, env=env)

    def write(self, **settings):
        self.path.write_text(json.dumps({**settings, "models": [{"n_ctx": 512, "parallel": 4, **each} for each in settings["models"]]}))

    def reload(self, says="read the settings anew"):
        """Sends the signal; the lines that it brings about."""
        before = len(self.server.read_errors())
        self.server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while says not in self.server.read_errors()[before:]:
            assert time.monotonic() < deadline and self.server.process.poll() is None, self.server.read_errors()
            time.sleep(0.02)
        time.sleep(0.05)
        return self.server.read_errors()[before:]


@pytest.fixture
def files(tmp_path):
    for name in "abc":
        shutil.copy(STORIES, tmp_path / f"{name}.gguf")
    return {name: str(tmp_path / f"{name}.gguf") for name in "abc"}


def ids(server, key="k"):
    answer = server.get("/v1/models", headers={"Authorization": f"Bearer {key}"})
    return [each["id"] for each in answer.json()["data"]] if answer.status_code == 200 else answer.status_code


def ask(server, model, key="k", **fields):
    return server.post("/v1/completions", {**STORY, "model": model, **fields}, headers={"Authorization": f"Bearer {key}"})


def test_models_come_go_and_change(files, tmp_path):
    config = Reloaded(tmp_path, api_key="k", models=[{"model": files["a"]}, {"model": files["b"]}])
    with config.server as server:
        assert ask(server, "b").status_code == 200
        url, headers = server.url + "/v1/completions", {"Authorization": "Bearer k"}
        body = json.dumps({**STORY, "model": "b", "max_tokens": 450, "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}})
        running = requests.post(url, data=body, headers=headers, stream=True, timeout=60)
        config.write(api_key="k", models=[{"model": files["a"], "n_ctx": 64}, {"model": files["c"], "preload": True}])
        log = config.reload()
        assert "new models: c; changed: a; removed: b" in log, log
        assert ids(server) == ["a", "c"]
        gone = ask(server, "b")
        assert gone.status_code == 404 and "there is: a, c" in error_of(gone)["message"]
        assert ask(server, "c").status_code == 200
        long = ask(server, "a", prompt="word " * 100)
        assert long.status_code == 400 and error_of(long)["code"] == "context_length_exceeded" and "64" in error_of(long)["message"]
        events = [line for line in running.iter_lines() if line]
        assert events[-1] == b"data: [DONE]" and json.loads(events[-2][6:])["usage"]["completion_tokens"] == 450
        assert config.server.stop()[0] == 0


def test_a_file_that_was_replaced_is_loaded_anew_and_others_are_not(files, tmp_path):
    config = Reloaded(tmp_path, api_key="k", models=[{"model": files["a"]}, {"model": files["b"], "preload": True}])
    with config.server as server:
        time.sleep(0.02)
        shutil.copy(STORIES, tmp_path / "new")
        (tmp_path / "new").rename(files["b"])
        assert "changed: b" in config.reload()
        assert ask(server, "b").status_code == 200 and ask(server, "a").status_code == 200
        assert server.read_errors().count("stories260K:\n") == 3
        assert ";" not in config.reload()


@pytest.mark.parametrize("broken", ["models: [", "modles: []", "models: [{model: /no/such/file.gguf}]", "port: x", None])
def test_a_broken_file_changes_nothing_and_says_why_in_one_line(files, tmp_path, broken):
    config = Reloaded(tmp_path, api_key="k", models=[{"model": files["a"]}])
    with config.server as server:
        if broken:
            config.path.write_text("api_key: k2\n" + broken)
        else:
            config.path.unlink()
        log = config.reload("the settings stay as they were")
        assert log.count("\n") == 1 and ("config.yaml" in log or "/no/such/file.gguf" in log), log
        assert ids(server) == ["a"] and ids(server, "k2") == 401
        assert ask(server, "a").status_code == 200


def test_keys_are_read_anew(files, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("one\n")
    config = Reloaded(tmp_path, "--api-key-file", keys, models=[{"model": files["a"]}])
    with config.server as server:
        assert ids(server, "one") == ["a"]
        keys.write_text("two  # for somebody\nthree\n")
        log = config.reload()
        assert "two" not in log and "three" not in log
        assert [ids(server, key) for key in ("one", "two", "three")] == [401, ["a"], ["a"]]
        keys.write_text("# none\n")
        assert "no key" in config.reload("the settings stay as they were")
        assert ids(server, "two") == ["a"]


def test_what_needs_a_restart_is_named(files, tmp_path):
    config = Reloaded(tmp_path, models=[{"model": files["a"]}], cors_origins=["https://one.example"])
    with config.server as server:
        config.write(port=1, timeout=5, models=[{"model": files["a"]}], cors_origins=["https://two.example"])
        log = config.reload("need a restart")
        assert "need a restart: timeout\n" in log, log  # the port comes from a flag, which goes before the file
        allowed = server.get("/v1/models", headers={"Origin": "https://two.example"})
        assert allowed.status_code == 200 and allowed.headers["Access-Control-Allow-Origin"] == "https://two.example"
        assert server.get("/v1/models", headers={"Origin": "https://one.example"}).status_code == 403


def test_new_connections_get_the_new_certificate(files, tmp_path):
    def make(name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2",
                        "-subj", f"/CN={name}"], check=True, capture_output=True)

    def served():
        return ssl.get_server_certificate(("127.0.0.1", config.server.port))

    make("one")
    https = {"ssl_certfile": str(tmp_path / "cert.pem"), "ssl_keyfile": str(tmp_path / "key.pem")}
    config = Reloaded(tmp_path, **https, models=[{"model": files["a"]}])
    with config.server as server:
        first = served()
        with requests.Session() as session:
            url = f"https://127.0.0.1:{server.port}/health"
            assert session.get(url, timeout=10, verify=False).status_code == 200
            make("two")
            config.reload()
            assert served() == (tmp_path / "cert.pem").read_text() != first
            assert session.get(url, timeout=10, verify=False).status_code == 200  # the old connection goes on
        (tmp_path / "key.pem").write_text("no key")
        assert "key.pem" in config.reload("the settings stay as they were")
        second = served()
        assert second == (tmp_path / "cert.pem").read_text()
        make("three")
        config.write(**https, models=[{"model": files[name], "model_alias": "x"} for name in "ab"])
        assert "two models are called x" in config.reload("the settings stay as they were")
        assert served() == second


def test_the_access_log_can_be_rotated(files, tmp_path):
    log = tmp_path / "access.log"
    config = Reloaded(tmp_path, "--access-log", log, models=[{"model": files["a"]}])
    with config.server as server:
        server.get("/health")
        log.rename(tmp_path / "access.log.1")
        server.get("/ready")
        config.reload()
        server.get("/v1/models")
        server.stop()
    assert [json.loads(line)["path"] for line in (tmp_path / "access.log.1").read_text().splitlines()] == ["/health", "/ready"]
    assert [json.loads(line)["path"] for line in log.read_text().splitlines()] == ["/v1/models"]


def test_a_model_that_cannot_be_loaded_is_said_after_a_reload(files, tmp_path):
    config = Reloaded(tmp_path, models=[{"model": files["a"]}])
    with config.server as server:
        (tmp_path / "bad.gguf").write_bytes(b"no model")
        config.write(models=[{"model": files["a"]}, {"model": str(tmp_path / "bad.gguf"), "preload": True}])
        assert "bad.gguf" in config.reload("cannot load bad")
        assert server.post("/v1/completions", {**STORY, "model": "a"}).status_code == 200


def test_reloads_under_load_lose_no_request(files, tmp_path):
    config = Reloaded(tmp_path, api_key="k", models=[{"model": files["a"]}, {"model": files["b"]}])
    with config.server as server:
        expected = ask(server, "a").json()["choices"][0]["text"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(ask, server, "ab"[i % 2]) for i in range(200)]
            for i in range(8):
                config.write(api_key="k", models=[{"model": files["a"], "n_ctx": 256 + 64 * (i % 2)}, {"model": files["b"], "pin": bool(i % 2)}])
                config.reload()
            for answer in answers:
                assert answer.result().status_code == 200 and answer.result().json()["choices"][0]["text"] == expected
        assert server.stop()[0] == 0


def test_a_closed_terminal_ends_the_server():
    terminal = Terminal("serve", "-m", STORIES, "--port", 0)
    with terminal:
        terminal.wait_for("quern serves")
        os.close(terminal.descriptor)
        terminal.descriptor = os.open("/dev/null", os.O_RDONLY)
        deadline = time.monotonic() + 10
        done = (0, 0)
        while not done[0] and time.monotonic() < deadline:
            done = os.waitpid(terminal.pid, os.WNOHANG)
            time.sleep(0.05)
        terminal.status = done[1] if done[0] else None
        assert done[0] and os.waitstatus_to_exitcode(done[1]) == 0
