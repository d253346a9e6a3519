"""`quern bench --server`: against quern's own server, against one whose times are known, and against servers that answer badly."""

import http.server
import json
import socket
import socketserver
import subprocess
import threading
import time
import xml.etree.ElementTree

import pytest

from program import QUERN, STORIES, complaint, quern
from serving import Server

WHOLE = {"usage": {"prompt_tokens": 10, "completion_tokens": 1}, "choices": [{"text": "a"}]}


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers calibration with a whole completion, and streams with `stream`, a function of the handler."""

    protocol_version = "HTTP/1.1"
    stream = None
    seen = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.whole({"data": [{"id": "known"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append((self.path, self.headers.get("Authorization"), body))
        self.body = body
        if body["stream"]:
            type(self).stream(self)
        else:
            words = body.get("prompt") or body["messages"][0]["content"]
            self.whole({**WHOLE, "usage": {"prompt_tokens": len(words.split()) + 3, "completion_tokens": 1}})

    def whole(self, json_body, status=200):
        data = json.dumps(json_body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin(self, content_type="text/event-stream"):
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Connection", "close")
        self.end_headers()

    def event(self, body):
        self.wfile.write(b"data: " + (body if isinstance(body, bytes) else json.dumps(body).encode()) + b"\n\n")

    def piece(self, text="word "):
        self.event({"choices": [{"text": text, "finish_reason": None}]})


class Quiet(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass  # the client may go


class Known:
    """A server in this process that streams as told."""

    def __init__(self, stream):
        self.seen = []
        handler = type("Handler", (Answering,), {"stream": stream, "seen": self.seen})
        self.server = Quiet(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def bench(url, *arguments):
    return json.loads(quern("bench", "--server", url, "--json", *arguments).stdout)


def steady(handler):
    """50 ms, then 11 pieces 20 ms apart, two of whose tokens the server counts for each."""
    handler.begin()
    start = time.perf_counter()
    for i in range(11):
        time.sleep(max(0, start + 0.05 + 0.02 * i - time.perf_counter()))
        handler.piece()
    handler.event({"choices": [{"text": "", "finish_reason": "stop"}]})
    handler.event({"choices": [], "usage": {"prompt_tokens": 33, "completion_tokens": 22, "prompt_tokens_details": {"cached_tokens": 5}}})
    handler.event(b"[DONE]")


def test_a_server_of_known_times_is_measured_right():
    with Known(steady) as known:
        result = bench(known.url, "--requests", "4", "--concurrency", "2", "--output-len", "22", "--prompt-len", "30")
    assert result["model"] == "known"
    assert result["succeeded"] == 4 and result["failed"] == 0
    assert result["input_tokens"]["n"] == 4 * 33 and result["input_tokens"]["cached"] == 4 * 5
    assert result["output_tokens"]["n"] == 4 * 22 and result["token_counts"] == "usage"
    assert result["characters"]["n"] == 4 * 11 * 5
    assert 50 <= result["ttft_ms"]["p50"] < 70
    assert result["inter_token_ms"]["n"] == 40
    assert result["inter_token_ms"]["p50"] == pytest.approx(20, abs=4)
    assert 250 <= result["latency_ms"]["p50"] < 290
    assert 0.5 <= result["seconds"] < 0.7
    assert result["output_tokens"]["per_second"] == pytest.approx(88 / result["seconds"])
    assert result["stream_tokens_per_second"]["p50"] == pytest.approx(105, rel=0.1)
    throughput = result["throughput"]
    assert sum(throughput["tokens_per_second"]) * throughput["seconds_each"] == pytest.approx(88)
    # calibrated: a prompt of n words has n + 3 tokens there
    prompts = [body["prompt"] for _, _, body in known.seen if body["stream"]]
    assert {len(prompt.split()) for prompt in prompts} == {27}
    assert len(set(prompts)) == len(prompts) == 5  # one to warm up


def test_requests_say_what_was_asked_for():
    with Known(steady) as known:
        bench(known.url + "/v1/", "--chat", "--requests", "1", "--prompt", "Hello", "--output-len", "7", "--ignore-eos", "--temp", "0.5", "--seed", "9",
              "--api-key", "sesame", "--model", "other", "--warm-up", "0")
    (path, key, body), = known.seen
    assert path == "/v1/chat/completions" and key == "Bearer sesame"
    assert body == {"model": "other", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 7, "ignore_eos": True, "temperature": 0.5, "seed": 9,
                    "stream": True, "stream_options": {"include_usage": True}}


def test_prompts_come_from_a_file_and_share_prefixes(tmp_path):
    (tmp_path / "prompts").write_text("first\n\nsecond\r\n")
    with Known(steady) as known:
        bench(known.url, "--requests", "2", "--prompts", tmp_path / "prompts", "--warm-up", "0")
        assert [body["prompt"] for _, _, body in known.seen] == ["first", "second"]
        known.seen.clear()
        bench(known.url, "--requests", "3", "--prompt-len", "40", "--shared-prefix", "23", "--warm-up", "0")
        prompts = [body["prompt"].split() for _, _, body in known.seen if body["stream"]]
        assert len({tuple(prompt[:20]) for prompt in prompts}) == 1
        assert len({tuple(prompt) for prompt in prompts}) == 3


def test_a_server_that_refuses_stream_options_is_measured_by_pieces():
    def picky(handler):
        if "stream_options" in handler.body:
            handler.whole({"error": {"message": "unknown field stream_options"}}, 400)
            return
        handler.begin()
        handler.piece()
        handler.piece()
        handler.event(b"[DONE]")

    with Known(picky) as known:
        result = bench(known.url, "--requests", "1")
        assert result["output_tokens"]["n"] == 2 and result["token_counts"] == "pieces" and result["prompt_counts"] == "wished"
        known.seen.clear()
        result = bench(known.url, "--requests", "9", "--concurrency", "3", "--warm-up", "0")
        assert result["succeeded"] == 9 and result["token_counts"] == "pieces"
        assert sum("stream_options" in body for _, _, body in known.seen) <= 3  # only until it is known


def test_results_that_cannot_be_written_are_an_error(tmp_path):
    with Known(lambda handler: (handler.begin(), handler.piece(), handler.event(b"[DONE]"))) as known:
        flags = ["bench", "--server", known.url, "--requests", "1", "--concurrency", "1", "--warm-up", "0"]
        for extra in (["--json", "/dev/full"], ["--plot", str(tmp_path / "no" / "x.svg")]):
            assert "cannot write" in complaint(*flags, *extra)
        with open("/dev/full", "w") as full:
            done = subprocess.run([str(QUERN), *flags], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == 1 and "cannot write to standard output" in done.stderr


def refuse(status):
    return lambda handler: handler.whole({"error": {"message": "because"}}, status)


def break_off(handler):
    handler.begin()
    handler.piece()


def error_midway(handler):
    handler.begin()
    handler.piece()
    handler.event({"error": {"message": "the model fell over", "code": 500}})


def nonsense(handler):
    handler.begin()
    handler.event(b"{not json")


def long_line(handler):
    handler.begin()
    for _ in range(40):
        handler.wfile.write(b"data: " + b"x" * 100_000)


def endless_comments(handler):
    handler.begin()
    while True:
        handler.wfile.write(b": nothing\n" * 1000)
        time.sleep(0.01)


def no_stream(handler):
    handler.whole({"choices": []})


@pytest.mark.parametrize("stream, words", [
    (refuse(401), ["401", "because", "--api-key"]), (refuse(404), ["404", "because", "--model"]), (refuse(500), ["500", "because"]),
    (break_off, ["ended before the answer did"]), (error_midway, ["the model fell over"]), (nonsense, ["{not json"]), (long_line, ["1 MiB"]),
    (no_stream, ["application/json", "event-stream"]), (endless_comments, ["no whole answer within 0.5 s"])])
def test_what_a_bad_server_does_is_said_in_one_line(stream, words):
    with Known(stream) as known:
        said = complaint("bench", "--server", known.url, "--timeout", "0.5", "--requests", "1")
    for word in ["cannot measure", *words]:
        assert word in said


def test_failures_among_answers_are_counted_by_kind():
    n_streams = [0]

    def every_other(handler):
        n_streams[0] += 1
        (steady if n_streams[0] % 2 else error_midway)(handler)

    with Known(every_other) as known:
        result = bench(known.url, "--requests", "4")
        table = quern("bench", "--server", known.url, "--requests", "2", "--warm-up", "0").stdout
    assert result["succeeded"] == result["failed"] == 2
    assert result["errors"] == {"error in the stream": {"n": 2, "first": "the stream ended with an error: the model fell over"}}
    assert result["output_tokens"]["n"] == 44
    assert "1 x error in the stream: " in table


def raw_server(answer):
    """Sends these bytes to each client after its request, and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                try:
                    client.sendall(answer)
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    return listener


@pytest.mark.parametrize("answer, words", [
    (b"SSH-2.0-OpenSSH\r\n", "not HTTP"), (b"", "not HTTP"), (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000, "not HTTP"),
    (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", "breaks off"),
    (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\n\r\nabc", "breaks off"),
    (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "401"), (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "302")])
def test_bytes_that_are_no_answer_are_said_so(answer, words):
    with raw_server(answer) as listener:
        said = complaint("bench", "--server", f"http://127.0.0.1:{listener.getsockname()[1]}", "-m", "x", "--prompt", "x", "--timeout", "5")
    assert words in said


def test_no_server_is_said_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "refused" in complaint("bench", "--server", f"http://127.0.0.1:{port}")
    assert "no.such.host.invalid" in complaint("bench", "--server", "http://no.such.host.invalid")
    assert "cannot connect" in complaint("bench", "--server", f"unix:{tmp_path}/none.sock")


@pytest.mark.parametrize("flags, words", [
    (["--server", "ftp://x"], "scheme"), (["--server", ""], "server"), (["--server", "http://x", "--concurrency", "0"], "concurrency"),
    (["--concurrency", "2", "-m", STORIES], "--server"), (["--server", "http://x", "-t", "2"], "--server"), (["--server", "http://x", "--plot", "a.png"], ".svg"),
    (["--server", "http://x", "--prompt-len", "5", "--shared-prefix", "6"], "shared-prefix"), (["--server", "http://x", "--prompts", "/no/file"], "/no/file"),
    (["--server", "http://x", "--chat", "--prompt-ids", "10"], "--prompt-ids"), (["--server", "http://x", "--chat", "--completions"], "--completions"),
    (["--server", "http://x", "--prompt", "a", "--prompts", "b"], "--prompt"), (["--server", "http://x", "--api-key", "a\nb"], "API key"), ([], "--server")])
def test_wrong_flags_are_said(flags, words):
    assert words in complaint("bench", *flags)


def test_our_own_server_is_measured_in_all_its_ways(tmp_path):
    with Server("-m", STORIES, "--api-key", "sesame", "-c", "512") as server:
        arguments = ["--api-key", "sesame", "--requests", "4", "--concurrency", "4", "--prompt-len", "60", "--output-len", "120", "--ignore-eos"]
        result = bench(server.url, *arguments, "--plot", tmp_path / "plot.svg")
        assert result["succeeded"] == 4 and result["output_tokens"]["n"] == 480 and result["token_counts"] == "usage"
        assert abs(result["input_tokens"]["n"] / 4 - 60) <= 12  # its words have one to seven tokens
        assert 0 < result["inter_token_ms"]["n"] <= 4 * 119  # several tokens may arrive together
        assert result["ttft_ms"]["p50"] <= result["latency_ms"]["p50"]
        assert xml.etree.ElementTree.parse(tmp_path / "plot.svg").getroot().tag.endswith("svg")
        ids = bench(server.url, *arguments, "--prompt-ids", "500")
        assert {each["prompt_tokens"] for each in ids["each"]} == {60}
        shared = bench(server.url, *arguments, "--prompt-len", "300", "--shared-prefix", "256", "--concurrency", "1")
        assert shared["input_tokens"]["cached"] >= 3 * 128
        text = quern("bench", "--server", server.url, *arguments, "--json", tmp_path / "result.json").stdout
        assert "first token, ms" in text and "no errors" in text
        assert json.loads((tmp_path / "result.json").read_text())["succeeded"] == 4
        assert "401" in complaint("bench", "--server", server.url)
        assert "404" in complaint("bench", "--server", server.url, "--api-key", "sesame", "-m", "nobody")


def test_tls_and_unix_sockets(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj",
                    "/CN=localhost"], check=True, capture_output=True)
    with Server("-m", STORIES, "--ssl-certfile", certificate, "--ssl-keyfile", key) as server:
        url = server.url.replace("http:", "https:")
        assert bench(url, "--insecure", "--requests", "2", "--output-len", "4", "--prompt", "Once")["succeeded"] == 2
        assert "TLS" in complaint("bench", "--server", url)
    process = subprocess.Popen([str(QUERN), "serve", "-m", str(STORIES), "--host", f"unix:{tmp_path}/s.sock"],
                               stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()
        assert bench(f"unix:{tmp_path}/s.sock", "--requests", "2", "--output-len", "4", "--prompt", "Once")["succeeded"] == 2
    finally:
        process.terminate()
        process.wait()
