"""`quern serve` against clients that do what they should not, and its flags, files and signals."""

import json
import os
import signal
import socket
import threading
import time

import pytest
import requests

from program import STORIES, complaint, quern
from serving import Server, error_of

SAY = {"prompt": "Once", "max_tokens": 2, "temperature": 0}


@pytest.fixture(scope="module")
def server(stories_server):
    return stories_server


def raw(server, data, wait=10):
    """Sends bytes and reads until the server closes."""
    with server.connect() as connection:
        connection.settimeout(wait)
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_health(server):
    for path in ("/health", "/v1/health"):
        response = server.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert requests.head(server.url + "/health", timeout=10).headers["Content-Length"] == "15"
    assert requests.options(server.url + "/v1/models", timeout=10).status_code == 204


@pytest.mark.parametrize("method, path, status", [("GET", "/nope", 404), ("GET", "/v1/embeddings", 405), ("POST", "/v1/models", 405),
                                                  ("GET", "/v1/chat/completions", 405), ("DELETE", "/v1/models/x", 405), ("GET", "/v1/models/nope", 404)])
def test_unknown_urls_and_methods(server, method, path, status):
    response = requests.request(method, server.url + path, timeout=10)
    assert response.status_code == status
    error_of(response)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", "nonsense", "{\"prompt\": NaN}", "{\"prompt\": \"\\ud800\"}", b"{\"prompt\": \"\xff\"}",
                                  "[" * 3000 + "]" * 3000, "{\"a\":" * 3000 + "1" + "}" * 3000, "{\"x\":" + "[" * 100_000])
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_a_bad_body_is_a_400(server, path, body):
    response = server.post(path, body)
    assert response.status_code == 400
    assert error_of(response)["type"] == "invalid_request_error"


@pytest.mark.parametrize("field, value", [("temperature", "x"), ("temperature", -1), ("max_tokens", -2), ("max_tokens", 1e300), ("n", 0), ("top_p", 2), ("stop", 5),
                                          ("seed", []), ("stream", "yes"), ("logit_bias", {"a": 1}), ("suffix", "x"), ("best_of", 0), ("model", 5), ("prompt", [[1], 5])])
def test_a_bad_field_is_a_400_that_names_it(server, field, value):
    response = server.post("/v1/completions", {**SAY, field: value})
    assert response.status_code == 400
    assert error_of(response)["param"].startswith(field)


def test_a_model_without_a_template_says_so(server):
    response = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]})
    assert response.status_code == 400
    assert "--chat-format" in error_of(response)["message"]


def test_a_prompt_that_does_not_fit_is_a_400(server):
    response = server.post("/v1/completions", {"prompt": "word " * 1000})
    assert response.status_code == 400
    error = error_of(response)
    assert error["code"] == "context_length_exceeded" and "256" in error["message"]


def test_generation_ends_where_the_window_does(server):
    answer = server.post("/v1/completions", {"prompt": "Once", "max_tokens": 100_000, "ignore_eos": True}).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == 256


def test_a_huge_body_is_a_413_that_the_client_sees(server):
    def high_water():
        with open(f"/proc/{server.process.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1])

    before = high_water()
    response = server.post("/v1/completions", b"x" * 100_000_000)
    assert response.status_code == 413
    error_of(response)

    def pieces():
        for _ in range(100):
            yield b"x" * 1_000_000

    assert requests.post(server.url + "/v1/completions", data=pieces(), timeout=60).status_code == 413
    assert raw(server, b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999999\r\nExpect: 100-continue\r\n\r\n").startswith(b"HTTP/1.1 413")
    assert high_water() - before < 160_000  # kB: one body up to the limit, and room for its growth


def test_bodies_that_take_much_work_do_not_block_others(server):
    attacks = ["{" + ",".join(f"\"k{i}\":1" for i in range(1_000_000)) + "}", "{\"prompt\":[" + "1," * 5_000_000 + "1]}", json.dumps({"prompt": "a" * 20_000_000})]
    threads = [threading.Thread(target=server.post, args=("/v1/completions", attack)) for attack in attacks]
    for thread in threads:
        thread.start()
    slowest = 0
    while any(thread.is_alive() for thread in threads):
        start = time.monotonic()
        assert server.get("/health").status_code == 200
        slowest = max(slowest, time.monotonic() - start)
    assert slowest < 2
    for attack in attacks:
        assert server.post("/v1/completions", attack).status_code == 400


def test_malformed_http_is_a_400_and_harms_nobody(server):
    for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"):
        assert raw(server, data).startswith(b"HTTP/1.1 400")
    assert raw(server, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 200_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431")
    assert server.get("/health").status_code == 200


def test_a_thousand_idle_connections_are_no_burden(server):
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    idle = [server.connect() for _ in range(1000)]
    try:
        start = time.monotonic()
        assert server.post("/v1/completions", SAY).status_code == 200
        assert time.monotonic() - start < 5
    finally:
        for connection in idle:
            connection.close()


def test_pages_of_other_sites_are_refused(server):
    assert server.get("/v1/models", headers={"Host": "evil.example"}).status_code == 403
    assert server.get("/v1/models", headers={"Origin": "https://evil.example"}).status_code == 403
    response = server.get("/v1/models", headers={"Origin": "http://localhost:3000"})
    assert response.status_code == 200 and "Access-Control-Allow-Origin" not in response.headers


def test_keys_guard_every_route_but_the_health_check():
    with Server("-m", STORIES, "--api-key", "kay-1", "--api-key", "kay-2", "-v") as server:
        assert server.get("/health").status_code == 200
        for path in ("/v1/models", "/nope"):
            response = server.get(path)
            assert response.status_code == 401 and error_of(response)["code"] == "invalid_api_key"
        assert server.get("/v1/models", headers={"Authorization": "Bearer kay-3"}).status_code == 401
        assert server.get("/v1/models", headers={"X-Api-Key": "kay-2"}).status_code == 200
        assert server.client(api_key="kay-1").models.list().data
        assert server.post("/v1/completions", b"x" * 50_000_000).status_code == 401
        code, errors = server.stop()
        assert code == 0 and not "kay-" in errors


def test_an_address_that_others_reach_needs_a_key_or_leave():
    assert "--api-key" in complaint("serve", "-m", STORIES, "--host", "0.0.0.0", "--port", 0)
    with Server("-m", STORIES, "--host", "0.0.0.0", "--allow-open") as server:
        assert server.get("/v1/models", headers={"Host": "quern:8080"}).status_code == 200


def test_a_taken_port_is_said(server):
    assert str(server.port) in complaint("serve", "-m", STORIES, "--port", server.port)


@pytest.mark.parametrize("flags, words", [([], "model"), (["-m", "no-such.gguf"], "no-such.gguf"), (["-m", STORIES, "--port", "x"], "--port"),
                                          (["-m", STORIES, "--n-ctx", "-5"], "--n-ctx"), (["-m", STORIES, "--config-file", "no-such.json"], "no-such.json"),
                                          (["-m", STORIES, "--chat-format", "nonsense"], "nonsense"), (["-m", STORIES, "--nonsense"], "--nonsense"),
                                          (["-m", STORIES, "--api-key", ""], "key"), (["-m", STORIES, "--host", "no such host"], "no such host")])
def test_wrong_flags_are_one_line_and_exit_code_1(flags, words):
    assert words in complaint("serve", "--port", 0, *flags)


def test_help_names_flags_and_variables():
    text = quern("serve", "--help").stdout
    assert "--n-ctx" in text and "N_CTX" in text and "--config-file" in text


def test_a_configuration_file_serves_several_models(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(f"""{{ // as for llama-cpp-python
        "host": "127.0.0.1", "port": 1, "interrupt_requests": false,
        "models": [
            {{"model": "{STORIES}", "model_alias": "a", "n_ctx": 128, "chat_format": "chatml", "n_gpu_layers": -1,}},
            {{"model": "{STORIES}", "model_alias": "org/b:1", "n_ctx": 64, "use_mlock": true}},
        ],
    }}""")
    with Server("--config_file", config) as server:  # --port 0 goes before the file
        assert [model["id"] for model in server.get("/v1/models").json()["data"]] == ["a", "org/b:1"]
        assert server.get("/v1/models/org%2Fb%3A1").json()["status"]["value"] == "unloaded"
        assert server.post("/v1/completions", {**SAY, "model": "org/b:1"}).json()["model"] == "org/b:1"
        assert server.get("/v1/models/org%2Fb%3A1").json()["meta"]["n_ctx"] == 64
        assert server.post("/v1/completions", SAY).json()["model"] == "a"
        assert server.post("/v1/completions", {**SAY, "model": "c"}).status_code == 404
        assert server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2}).status_code == 200
    config.write_text('{"models": [{"model": "x.gguf", "n_ctx": "big"}]}')
    assert "models[0].n_ctx" in complaint("serve", "--config-file", config)


def test_the_environment_sets_everything():
    with Server(env={"MODEL": str(STORIES), "N_CTX": "100", "MODEL_ALIAS": "env", "N_THREADS": "1"}) as server:
        model = server.get("/v1/models/env").json()
        assert model["meta"]["n_ctx"] == 100


def test_a_signal_lets_answers_finish_and_a_second_one_does_not():
    # An answer that takes some time: many choices, each as long as the window.
    long = {"prompt": ["Once"] * 64, "max_tokens": 500, "ignore_eos": True}
    with Server("-m", STORIES, "-t", 1) as server:
        results = []
        thread = threading.Thread(target=lambda: results.append(server.post("/v1/completions", long)))
        thread.start()
        time.sleep(0.5)
        code, _ = server.stop()
        thread.join()
        assert code == 0 and results[0].status_code == 200
        assert all(choice["finish_reason"] == "length" for choice in results[0].json()["choices"])
    with Server("-m", STORIES, "-t", 1) as server:
        connection = server.connect()
        body = json.dumps({**long, "prompt": ["Once"] * 128}).encode()
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        time.sleep(0.5)
        start = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        code, _ = server.stop(signal.SIGINT)
        assert code == 0 and time.monotonic() - start < 3
        connection.close()


def test_a_full_queue_is_a_429():
    with Server("-m", STORIES, "--parallel", 1, "-t", 1) as server:
        sockets = []
        body = json.dumps({"prompt": ["Once"] * 128, "max_tokens": 500, "ignore_eos": True}).encode()
        for _ in range(3):
            connection = server.connect()
            connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            sockets.append(connection)
        time.sleep(0.3)
        response = server.post("/v1/completions", {**SAY, "prompt": ["x"] * 100})
        assert response.status_code == 429 and response.headers["Retry-After"]
        assert error_of(response)["code"] == "rate_limit_exceeded"
        for connection in sockets:
            connection.close()
        deadline = time.monotonic() + 10
        while server.post("/v1/completions", {**SAY, "prompt": ["x"] * 100}).status_code != 200:
            assert time.monotonic() < deadline
