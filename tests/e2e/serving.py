"""`quern serve` as a process of the tests: on a free port, until the end of a `with` block."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile

import openai
import requests

from program import QUERN


class Server:
    """Started when made. Extra arguments go to `quern serve`."""

    def __init__(self, *arguments, env=None):
        self.errors = tempfile.TemporaryFile("w+")  # a pipe that nobody reads would hold up the server once it is full
        self.process = subprocess.Popen([str(QUERN), "serve", "--port", "0", *map(str, arguments)], stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, env={**os.environ, **(env or {})})
        self.ready_line = self.process.stdout.readline()
        found = re.search(r"https?://\S+:(\d+)", self.ready_line)
        if not found:
            self.process.wait(timeout=10)
            raise RuntimeError(f"quern serve did not start: {self.ready_line!r} {self.read_errors()}")
        self.port = int(found.group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()

    def stop(self, which=signal.SIGTERM, timeout=40):
        """The exit code and what was written to standard error."""
        self.process.send_signal(which)
        self.process.communicate(timeout=timeout)
        return self.process.returncode, self.read_errors()

    def read_errors(self):
        descriptor = self.errors.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()  # the place where the server writes is not moved

    def client(self, **options):
        return openai.OpenAI(**{"base_url": self.url + "/v1", "api_key": "none", "max_retries": 0, **options})

    def async_client(self, **options):
        return openai.AsyncOpenAI(**{"base_url": self.url + "/v1", "api_key": "none", "max_retries": 0, **options})

    def get(self, path, **options):
        return requests.get(self.url + path, timeout=60, **options)

    def post(self, path, body, **options):
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return requests.post(self.url + path, data=data, timeout=60, **options)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


def error_of(response):
    """The error object of a refusal, checked for its shape."""
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}, error
    assert isinstance(error["message"], str) and isinstance(error["type"], str)
    assert error["code"] is None or isinstance(error["code"], str)
    assert response.headers["x-request-id"]
    return error
