"""A server whose output nobody reads: the pipe is full, or its other end is closed. It serves as if somebody did."""

import fcntl
import os
import re
import subprocess

import pytest
import requests

from program import QUERN, STORIES


class Piped:
    """`quern serve` with a standard error that the test made."""

    def __init__(self, write_end, *flags):
        command = [str(QUERN), "serve", "--port", "0", "-m", str(STORIES), "--api-key", "x", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=write_end, text=True)

    def __enter__(self):
        found = re.search(r"http://\S+:\d+", self.process.stdout.readline())
        assert found, self.process.wait(timeout=10)
        self.url = found.group(0)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        finally:
            self.process.kill()
            self.process.stdout.close()

    def post(self, path, body):
        return requests.post(self.url + path, json=body, headers={"Authorization": "Bearer x"}, timeout=20)

    def reload(self):
        """Unloads the model and asks for an answer: a load, with all that is said about it."""
        assert self.post("/v1/models/unload", {"model": "stories260K"}).status_code == 200
        return self.post("/v1/completions", {"prompt": "Once", "max_tokens": 3, "temperature": 0})


def fill(write_end):
    flags = fcntl.fcntl(write_end, fcntl.F_GETFL)
    fcntl.fcntl(write_end, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for size in (4096, 1):
        try:
            while True:
                os.write(write_end, b"." * size)
        except BlockingIOError:
            pass
    fcntl.fcntl(write_end, fcntl.F_SETFL, flags)


@pytest.fixture
def pipe():
    ends = list(os.pipe())
    yield ends
    for end in ends:
        if end is not None:
            os.close(end)


def test_a_full_pipe_does_not_hold_up_loading(pipe):
    with Piped(pipe[1], "-v") as server:
        fill(pipe[1])
        for _ in range(2):
            assert server.reload().status_code == 200


def test_what_is_said_after_the_pipe_was_read_again_arrives(pipe):
    with Piped(pipe[1], "-v") as server:
        fill(pipe[1])
        assert server.reload().status_code == 200
        os.read(pipe[0], 1 << 20)
        assert server.reload().status_code == 200
        assert b"keys and values" in os.read(pipe[0], 1 << 20)


def test_a_closed_pipe_does_not_end_the_server(pipe):
    with Piped(pipe[1], "-v") as server:
        os.close(pipe[0])
        pipe[0] = None
        for _ in range(2):
            assert server.reload().status_code == 200
        assert server.process.poll() is None


def test_log_disable_leaves_only_errors(pipe):
    with Piped(pipe[1], "--log-disable") as server:
        assert server.reload().status_code == 200
    os.set_blocking(pipe[0], False)
    with pytest.raises(BlockingIOError):
        raise AssertionError(os.read(pipe[0], 1 << 20))


def test_an_access_log_that_nobody_reads_holds_up_nobody(pipe):
    with Piped(subprocess.DEVNULL, "--access-log", f"/proc/{os.getpid()}/fd/{pipe[1]}") as server:
        fill(pipe[1])
        for _ in range(3):
            assert server.post("/tokenize", {"content": "Once"}).status_code == 200
        os.read(pipe[0], 1 << 20)
        assert server.post("/detokenize", {"tokens": [5]}).status_code == 200
        assert b'"/detokenize"' in os.read(pipe[0], 1 << 20)
