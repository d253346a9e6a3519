#!/usr/bin/env python3
"""Measures `quern serve`: one stream, many streams, the pause that a long prompt causes, and a cached prefix. Prints one JSON object.

    bench/serving.py --quern build/quern --model FILE.gguf [--threads 2] [--only streams|pause|prefix]
"""
import argparse
import json
import random
import socket
import subprocess
import threading
import time
import urllib.request


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, arguments):
        self.port = free_port()
        command = [arguments.quern, "serve", "-m", arguments.model, "--port", str(self.port), "--n_ctx", "8192",
                   "--n_threads", str(arguments.threads)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def stream(self, prompt, max_tokens):
        """Times at which tokens arrived, the first entry being the start."""
        body = {"prompt": prompt, "max_tokens": max_tokens, "stream": True, "temperature": 1.0, "seed": 1,
                "ignore_eos": True}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        times = [time.perf_counter()]
        with urllib.request.urlopen(request, timeout=600) as response:
            for line in response:
                if line.startswith(b"data: {"):
                    times.append(time.perf_counter())
        return times

    def close(self):
        self.process.terminate()
        self.process.wait()


def prompt_of(n, seed):
    rng = random.Random(seed)
    return [rng.randrange(300, 20000) for _ in range(n)]


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def in_threads(jobs):
    threads = [threading.Thread(target=job) for job in jobs]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def measure_streams(server):
    begin = time.perf_counter()
    server.stream(prompt_of(128, 1), 128)
    one = 128 / (time.perf_counter() - begin)
    begin = time.perf_counter()
    in_threads([lambda i=i: server.stream(prompt_of(128, 10 + i), 128) for i in range(16)])
    many = 16 * 128 / (time.perf_counter() - begin)
    return {"one_tok_s": round(one, 2), "sixteen_tok_s": round(many, 2), "ratio": round(many / one, 2)}


def measure_pause(server):
    results, done = [None] * 4, {}

    def long_prompt():
        time.sleep(3)
        begin = time.perf_counter()
        server.stream(prompt_of(4000, 99), 1)
        done["prompt_s"] = time.perf_counter() - begin
        done["window"] = (begin, time.perf_counter())

    def answer(i):
        results[i] = server.stream(prompt_of(64, 50 + i), 400)

    in_threads([lambda i=i: answer(i) for i in range(4)] + [long_prompt])
    gaps = [(b, b - a) for times in results for a, b in zip(times[1:], times[2:])]
    begin, end = done["window"]
    inside = [gap for at, gap in gaps if begin <= at <= end]
    outside = [gap for at, gap in gaps if not begin <= at <= end]
    everything = [gap for _, gap in gaps]
    ms = lambda value: round(1000 * value, 1)
    return {"prompt_s": round(done["prompt_s"], 2), "p50_ms": ms(percentile(everything, .5)), "p99_ms": ms(percentile(everything, .99)),
            "alone_p50_ms": ms(percentile(outside, .5)), "beside_p50_ms": ms(percentile(inside, .5)), "beside_p99_ms": ms(percentile(inside, .99)),
            "ratio": round(percentile(everything, .99) / percentile(everything, .5), 2),
            "ratio_to_alone": round(percentile(inside, .99) / percentile(outside, .5), 2)}


def measure_prefix(server):
    prefix = prompt_of(2000, 7)
    first = server.stream(prefix + prompt_of(20, 1), 1)
    second = server.stream(prefix + prompt_of(20, 2), 1)
    ttft = [times[1] - times[0] for times in (first, second)]
    return {"uncached_s": round(ttft[0], 3), "cached_s": round(ttft[1], 3), "share": round(ttft[1] / ttft[0], 3)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quern", default="build/quern")
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["streams", "pause", "prefix"])
    arguments = parser.parse_args()
    measures = {"streams": measure_streams, "pause": measure_pause, "prefix": measure_prefix}
    results = {}
    for name, measure in measures.items():
        if arguments.only not in (None, name):
            continue
        server = Server(arguments)
        try:
            results[name] = measure(server)
        finally:
            server.close()
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
