"""Several requests at once: they share the engine, do not disturb each other, and stop when their clients go."""

import json
import os
import threading
import time

import pytest

from program import STORIES
from serving import Server

LONG = {"prompt": "Once upon a time", "max_tokens": 1500, "temperature": 0, "ignore_eos": True}


@pytest.fixture(scope="module")
def server(smollm2_server):
    return smollm2_server


def in_parallel(actions):
    results = [None] * len(actions)

    def run(i):
        results[i] = actions[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def send(server, body):
    """A request whose answer nobody has read yet."""
    connection = server.connect()
    data = json.dumps(body).encode()
    connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
    return connection


def timed(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


def cpu_of(server, work):
    """What the server's threads compute meanwhile, in seconds: a measure that other programs on the machine hardly disturb."""
    def total():
        with open(f"/proc/{server.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = total()
    work()
    return total() - before


def cpu_seconds(server, window):
    return cpu_of(server, lambda: time.sleep(window))


def test_answers_in_parallel_are_those_given_alone(server):
    prompts = [f"The number {word} comes after" for word in ("two", "three", "four", "five", "six", "seven")]

    def say(prompt):
        return server.post("/v1/completions", {"prompt": prompt, "max_tokens": 12, "temperature": 0}).json()["choices"][0]["text"]

    alone = [say(prompt) for prompt in prompts]
    together = in_parallel([lambda prompt=prompt: say(prompt) for prompt in prompts])
    # The order in which a batch is summed may tip a close call, no more.
    assert sum(a == b for a, b in zip(alone, together)) >= len(prompts) - 1


def test_a_batch_is_faster_than_one_after_the_other(server):
    body = {"prompt": "Once upon a time", "max_tokens": 48, "temperature": 0, "ignore_eos": True}
    server.post("/v1/completions", body)
    one = cpu_of(server, lambda: [server.post("/v1/completions", body) for _ in range(2)]) / 2
    eight = cpu_of(server, lambda: in_parallel([lambda: server.post("/v1/completions", body)] * 8))
    assert eight < 6 * one, (one, eight)


def test_a_short_request_does_not_wait_for_a_long_one(server):
    connection = send(server, LONG)
    time.sleep(0.3)
    short = timed(lambda: server.post("/v1/completions", {"prompt": "Hi", "max_tokens": 4}))
    connection.settimeout(0.01)
    with pytest.raises(TimeoutError):
        connection.recv(1)  # still at work
    connection.close()
    assert short < 3


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_stops_its_generation(server, stream):
    connections = [send(server, {**LONG, "stream": stream}) for _ in range(16)]
    time.sleep(0.5)
    assert cpu_seconds(server, 1) > 0.2
    for connection in connections:
        connection.close()
    time.sleep(0.3)
    assert cpu_seconds(server, 1) < 0.1


def test_deltas_arrive_one_by_one(server):
    times = []
    stream = server.client().completions.create(model="smollm2", prompt="Once upon a time", max_tokens=40, temperature=0, stream=True)
    for chunk in stream:
        if chunk.choices[0].text:
            times.append(time.monotonic())
    assert len(times) >= 20
    assert times[-1] - times[0] > 0.05


def test_cached_tokens_are_counted_truly(server):
    body = {"prompt": "A text that nobody else sends. " * 40, "max_tokens": 4, "temperature": 0}
    usages = [server.post("/v1/completions", body).json()["usage"] for _ in range(2)]
    cached = [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages]
    assert cached[0] == 0
    assert cached[1] == (usages[1]["prompt_tokens"] - 1) // 64 * 64


def test_the_choices_of_one_request_fill_no_queue():
    with Server("-m", STORIES, "--parallel", "2", "--queue", "0") as server:
        for i in range(40):
            response = server.post("/v1/completions", {"prompt": ["a", "b"], "n": 1 + i % 5, "max_tokens": 3})
            assert response.status_code == 200, response.text
            assert len(response.json()["choices"]) == 2 * (1 + i % 5)
