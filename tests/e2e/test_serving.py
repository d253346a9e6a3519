"""Running `quern serve`: several models, keys, HTTPS, sockets, logs, and how it stops."""

import contextlib
import http.client
import json
import socket
import subprocess
import threading
import time

import pytest
import requests

from program import QUERN, STORIES, complaint, quern
from serving import Server, error_of

SAY = {"prompt": "Once", "max_tokens": 2, "temperature": 0}
KEY = {"Authorization": "Bearer secret-key"}


def test_models_load_when_asked_for_and_make_room(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("# of the team\nsecret-key\n\nother-key # Ann's\n")
    models = [argument for name in "abc" for argument in ("-m", STORIES, "--model-alias", name)]
    with Server(*models, "-c", 128, "--parallel", 1, "--kv-budget", 8, "--memory-budget", 48, "--api-key-file", keys) as server:
        def states():
            return {model["id"]: model["status"]["value"] for model in server.get("/v1/models", headers=KEY).json()["data"]}

        assert server.get("/v1/models").status_code == 401
        assert states() == {"a": "loaded", "b": "unloaded", "c": "unloaded"}
        for name in "bc":
            assert server.post("/v1/completions", {**SAY, "model": name}, headers={"X-Api-Key": "other-key"}).json()["model"] == name
        assert states()["c"] == "loaded"
        assert server.post("/v1/models/unload", {"model": "c"}, headers=KEY).json()["status"]["value"] == "unloaded"
        assert server.post("/v1/models/load", {"model": "c"}, headers=KEY).json()["status"]["value"] == "loaded"
        assert error_of(server.post("/v1/models/load", {"model": "d"}, headers=KEY))["code"] == "model_not_found"
        assert server.post("/v1/models/load", {"model": "a"}).status_code == 401
        memory = server.get("/v1/models", headers=KEY).json()["memory"]
        assert memory["used"] <= memory["budget"] == 48 << 20
        # A crowd that wants all of them at once.
        answers = []
        threads = [threading.Thread(target=lambda name=name: answers.append(server.post("/v1/completions", {**SAY, "model": name}, headers=KEY)))
                   for name in "abcabcabcabc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * 12
        assert len({answer.json()["choices"][0]["text"] for answer in answers}) == 1


def test_loading_by_request_needs_a_key(stories_server):
    response = stories_server.post("/v1/models/unload", {"model": "stories260K"})
    assert response.status_code == 403 and error_of(response)["code"] == "api_key_required"


def test_a_broken_model_is_an_error_and_the_others_stay(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\xff" * 100)
    with Server("-m", STORIES, "-m", broken) as server:
        for _ in range(2):
            response = server.post("/v1/completions", {**SAY, "model": "broken"})
            assert response.status_code == 500 and "broken.gguf" in error_of(response)["message"]
        assert server.post("/v1/completions", SAY).status_code == 200
        assert server.get("/v1/models/broken").json()["status"]["value"] == "failed"
    assert "broken.gguf" in complaint("serve", "-m", broken, "--port", 0)


def test_yaml_and_print_config(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(f"host: 127.0.0.1\nport: 0\napi_key: [\"k\"]\nmodels:\n- model: {STORIES}\n  model_alias: tiny\n  n_ctx: 100\n  ttl: 60\n  chat_template_kwargs: {{enable_thinking: true}}\n")
    printed = json.loads(quern("serve", "--config_file", config, "--print-config").stdout)
    assert printed["models"][0]["n_ctx"] == 100 and printed["models"][0]["ttl"] == 60 and "api_key" not in printed
    with Server("--config_file", config) as server:
        assert server.get("/v1/models", headers={"X-Api-Key": "k"}).json()["data"][0]["id"] == "tiny"
    config.write_text("models: [{model: x, nctx: 5}]")
    assert "models[0].nctx is no setting" in complaint("serve", "--config_file", config)
    config.write_text("models: [")
    assert "not valid YAML" in complaint("serve", "--config_file", config)


def test_https(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    with Server("-m", STORIES, "--ssl-certfile", certificate, "--ssl-keyfile", key) as server:
        url = f"https://127.0.0.1:{server.port}"
        with requests.Session() as session:
            session.trust_env = False  # where a bundle of certificates is set, it would go before this one
            session.verify = str(certificate)
            for _ in range(3):
                assert session.post(url + "/v1/completions", json=SAY, timeout=60).status_code == 200
            text = session.post(url + "/v1/completions", json={**SAY, "stream": True, "max_tokens": 50}, timeout=60).text
            assert text.endswith("data: [DONE]\n\n")
            assert session.post(url + "/v1/completions", data=b"x" * 3_000_000, timeout=60).status_code == 400
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain, contextlib.suppress(OSError):
                plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"x" * 1000)
                plain.recv(1000)
            assert session.get(url + "/health", timeout=10).status_code == 200
    assert "key.pem" in complaint("serve", "-m", STORIES, "--port", 0, "--ssl-certfile", certificate, "--ssl-keyfile", tmp_path / "no" / "key.pem")
    assert "--ssl-keyfile" in complaint("serve", "-m", STORIES, "--port", 0, "--ssl-certfile", certificate)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


@pytest.mark.parametrize("form", ["unix:{}", "{}"])
def test_a_unix_socket(tmp_path, form):
    path = tmp_path / "quern.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    process = subprocess.Popen([str(QUERN), "serve", "-m", str(STORIES), "--host", form.format(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert f"unix:{path}" in process.stdout.readline()
        connection = UnixConnection(str(path))
        connection.request("POST", "/v1/completions", json.dumps(SAY), {"Host": "anything"})
        assert connection.getresponse().status == 200
        assert str(path) in complaint("serve", "-m", STORIES, "--host", form.format(path))
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert not path.exists()


def test_pages_of_allowed_sites_only():
    page = {"Origin": "https://app.example"}
    with Server("-m", STORIES, "--cors-origins", "https://app.example") as server:
        preflight = requests.options(server.url + "/v1/chat/completions", timeout=10,
                                     headers={**page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"})
        assert preflight.status_code == 204 and preflight.headers["Access-Control-Allow-Headers"] == "authorization"
        for path, body in (("/v1/completions", SAY), ("/v1/completions", {**SAY, "stream": True}), ("/v1/completions", {"prompt": 5})):
            assert server.post(path, body, headers=page).headers["Access-Control-Allow-Origin"] == "https://app.example"
        other = server.get("/v1/models", headers={"Origin": "https://evil.example"})
        assert other.status_code == 403 and "Access-Control-Allow-Origin" not in other.headers


def test_a_prefix_and_the_access_log(tmp_path):
    log = tmp_path / "access.log"
    with Server("-m", STORIES, "--root-path", "/llm", "--access-log", log) as server:
        assert server.post("/llm/v1/completions", {**SAY, "prompt": "a secret prompt"}, headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
        assert server.get("/v1/models").status_code == 200
        assert server.get("/llmx/v1/models").status_code == 404
        assert server.get("/openapi.json").json()["servers"][0]["url"] == "/llm"
    text = log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["status"] for line in lines] == [200, 200, 404, 200] and "secret" not in text
    assert lines[0]["id"] == "mine-1" and lines[0]["path"] == "/llm/v1/completions" and lines[0]["complete"] and lines[0]["ms"] > 0


def test_while_it_stops_new_requests_get_a_503():
    long = {"prompt": ["Once"] * 64, "max_tokens": 500, "ignore_eos": True}
    with Server("-m", STORIES, "-t", 1) as server:
        results = []
        thread = threading.Thread(target=lambda: results.append(server.post("/v1/completions", long)))
        thread.start()
        time.sleep(0.5)
        server.process.terminate()
        time.sleep(0.2)
        response = server.post("/v1/completions", SAY)
        assert response.status_code == 503 and response.headers["Retry-After"] and error_of(response)["code"] == "shutting_down"
        thread.join()
        assert results[0].status_code == 200
        assert server.process.wait(timeout=30) == 0


def test_an_answer_may_take_only_so_long():
    with Server("-m", STORIES, "-t", 1, "--timeout", 1) as server:
        body = {"prompt": ["Once"] * 128, "max_tokens": 500, "ignore_eos": True}
        response = server.post("/v1/completions", body)
        assert response.status_code in (200, 504)
        assert response.status_code == 200 or error_of(response)["code"] == "timeout"
