"""Servers as processes of a measurement: quern's, and llama-cpp-python's beside it."""

import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def in_threads(jobs):
    threads = [threading.Thread(target=job) for job in jobs]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


class Quern:
    """`quern serve` from its ready line to the end of a `with` block."""

    def __init__(self, arguments, *flags, port=None, key=None):
        self.has_ids = bool(getattr(arguments, "ids", 0))
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        command = [arguments.quern, "serve", "-m", arguments.model, "--port", str(self.port)]
        if "--n_threads" not in flags:
            command += ["--n_threads", str(arguments.threads)]
        self.process = subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, text=True)
        if not self.process.stdout.readline():
            raise RuntimeError("quern serve did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait()

    def stream(self, prompt, max_tokens):
        """Times at which events with a token arrived, the first entry being the start. Token ids need no words: logprobs show each."""
        body = {"prompt": prompt, "max_tokens": max_tokens, "stream": True, "temperature": 1.0, "seed": 1, "ignore_eos": True, "min_p": 0.05}
        if self.has_ids:
            body["logprobs"] = 0
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        times = [time.perf_counter()]
        connection.request("POST", "/v1/completions", json.dumps(body), self.headers)
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(response.read(500))
        for line in response:
            if line.startswith(b"data: {") and b'"finish_reason":null' in line:
                times.append(time.perf_counter())
        connection.close()
        return times

    def open_streams(self, n, body):
        """Sockets on which the same request was sent; nothing is read."""
        data = json.dumps(body).encode()
        head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
        sockets = []
        for _ in range(n):
            each = socket.create_connection(("127.0.0.1", self.port), timeout=60)
            each.sendall(head + data)
            sockets.append(each)
        return sockets

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {data[:300]}")
        return data

    def get(self, path):
        return json.loads(self.call("GET", path))

    def post(self, path, body):
        return json.loads(self.call("POST", path, body))

    def metric(self, name):
        found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", self.call("GET", "/metrics").decode(), re.MULTILINE)
        return float(found.group(1))

    def anonymous_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) * 1024

    def thread_seconds(self):
        """CPU time of each thread."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        return {task.name: int((task / "schedstat").read_text().split()[0]) / 1e9 for task in tasks.iterdir()}


class Peer:
    """llama-cpp-python's server."""

    def __init__(self, arguments, settings):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        threads = str(arguments.threads)
        command = [arguments.peer, "-m", "llama_cpp.server", "--model", arguments.model, "--n_ctx", "4096", "--n_threads", threads,
                   "--n_threads_batch", threads, "--port", str(self.port), *settings]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the peer did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
