#!/usr/bin/env python3
"""Measures `quern serve` against what it is held to, and prints a table with the bars. Exit code 1 when one is missed.

    bench/serving.py --quern build/quern --model FILE.gguf [--only NAME,...] [--threads 2] [--json FILE] [--peer PYTHON]

NAME: streams, pause, prefix, idle, aborts, overhead, restart. --peer names a Python that has llama-cpp-python[server]: the same load is then put on
its server, as it comes and with interrupt_requests off. --ids N: the model has no words, so prompts are token ids below N.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

from server_process import Peer, Quern, in_threads, percentile

STORIES = pathlib.Path(__file__).resolve().parents[1] / "tests" / "golden" / "stories260K.gguf"


class Table:
    """What was measured, and whether it is enough."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, bar=None, enough=None):
        passes = None if bar is None else bool(enough)
        self.rows.append({"check": name, "value": value, "unit": unit, "bar": bar, "passes": passes})
        mark = "" if passes is None else "PASS" if passes else "FAIL"
        print(f"{name:<66} {value:>10} {unit:<8} {bar or '':<18} {mark}", flush=True)

    def failed(self):
        return any(row["passes"] is False for row in self.rows)


def load(arguments, url, *flags):
    """What `quern bench --server` says."""
    command = [arguments.quern, "bench", "--server", url, "--json", "--prompt-len", "128", "--output-len", "128", *flags]
    if arguments.ids:
        command += ["--prompt-ids", str(arguments.ids)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_streams(arguments, table):
    """16 answers at once against one after the other, and against the peer."""
    with Quern(arguments) as server:
        one = load(arguments, server.url, "--requests", "3", "--ignore-eos")
        many = load(arguments, server.url, "--concurrency", "16", "--requests", "16", "--ignore-eos")
    ours_one, ours = (run["output_tokens"]["per_second"] for run in (one, many))
    table.add("one stream, 128 in and 128 out", round(ours_one, 1), "tok/s")
    table.add("16 streams", round(ours, 1), "tok/s", "2.5 x one", ours >= 2.5 * ours_one)
    table.add("16 streams: time to first token, p50 / p99", "{p50:.0f} / {p99:.0f}".format(**many["ttft_ms"]), "ms")
    table.add("16 streams: between tokens, p50 / p99", "{p50:.1f} / {p99:.1f}".format(**many["inter_token_ms"]), "ms")
    if not arguments.peer:
        return
    for name, settings in (("as it comes", []), ("interrupt_requests off", ["--interrupt_requests", "False"])):
        with Peer(arguments, settings) as peer:
            result = load(arguments, peer.url, "--concurrency", "16", "--requests", "16", "--timeout", "150")
        theirs = result["output_tokens"]["per_second"]
        said = f"peer, {name}: 16 streams ({result['succeeded']} of 16 answered, {result['output_tokens']['n']} tokens)"
        table.add(said, round(theirs, 1), "tok/s")
        table.add(f"16 streams of ours to the peer, {name}", round(ours / theirs, 2), "x", "4 x", ours >= 4 * theirs)


def prompt_of(arguments, n, seed):
    rng = random.Random(seed)
    return [rng.randrange(300 if not arguments.ids else 3, arguments.ids or 20000) for _ in range(n)]


def measure_pause(arguments, table):
    """The gaps of four running answers, with a prompt of 4,000 tokens arriving among them."""
    results, window = [None] * 4, []
    with Quern(arguments) as server:
        def long_prompt():
            time.sleep(3)
            window.append(time.perf_counter())
            server.stream(prompt_of(arguments, 4000, 99), 1)
            window.append(time.perf_counter())

        def answer(i):
            results[i] = server.stream(prompt_of(arguments, 64, 50 + i), arguments.pause_tokens)

        in_threads([lambda i=i: answer(i) for i in range(4)] + [long_prompt])
    gaps = [(b, b - a) for times in results for a, b in zip(times[1:], times[2:])]
    inside = [gap for at, gap in gaps if window[0] <= at <= window[1]]
    outside = [gap for at, gap in gaps if not window[0] <= at <= window[1]]
    everything = [gap for _, gap in gaps]
    ms = lambda values, share: round(1000 * percentile(values, share), 1)
    table.add("4,000-token prompt beside 4 answers", round(window[1] - window[0], 2), "s")
    table.add("between tokens without it, p50 / p99", f"{ms(outside, .5)} / {ms(outside, .99)}", "ms")
    table.add("between tokens while it is read, p50 / p99", f"{ms(inside, .5)} / {ms(inside, .99)}", "ms")
    ratio = percentile(everything, .99) / percentile(everything, .5)
    table.add("p99 to p50 of all gaps", round(ratio, 2), "x", "under 3 x", ratio < 3)
    ratio = percentile(inside, .99) / percentile(inside, .5)
    table.add("p99 to p50 of the gaps while it is read", round(ratio, 2), "x", "under 3 x", ratio < 3)


def measure_prefix(arguments, table):
    """The first token of a request whose first 2,000 tokens were computed before."""
    prefix = prompt_of(arguments, 2000, 7)
    with Quern(arguments) as server:
        server.stream(prompt_of(arguments, 100, 1), 2)
        times = [server.stream(prefix + prompt_of(arguments, 20, seed), 1) for seed in (1, 2, 3)]
    first, *again = [each[1] - each[0] for each in times]
    table.add("first token of 2,020 tokens, uncached", round(1000 * first, 1), "ms")
    share = max(again) / first
    table.add("the same with 2,000 cached", round(1000 * max(again), 1), "ms", "under 10 %", share < 0.1)


def wait_for(server, metric, n):
    while server.metric(metric) != n:
        time.sleep(0.05)


def slower_beside_idle(server, arguments):
    """Four answers alone and then with streams that wait beside them: bytes of each of these, and by which share the answers are slower."""
    n_idle = arguments.idle

    def four():
        times = [None] * 4

        def answer(i):
            times[i] = server.stream(prompt_of(arguments, 32, i), arguments.idle_tokens)

        threads = [threading.Thread(target=answer, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        return times, threads

    def speed(times, first):
        gaps = [b - a for each, n in zip(times, first) for a, b in zip(each[n:], each[n + 1:])]
        return len(gaps) / sum(gaps)

    alone, threads = four()
    for thread in threads:
        thread.join()
    beside, threads = four()
    wait_for(server, "quern_requests_running", 4)
    before = server.anonymous_bytes()
    body = {"prompt": prompt_of(arguments, 8, 5), "max_tokens": 1000, "stream": True, "ignore_eos": True}
    idle = server.open_streams(n_idle, body)
    wait_for(server, "quern_requests_waiting", n_idle)
    opened = time.perf_counter()
    after = server.anonymous_bytes()
    for thread in threads:
        thread.join()
    first = [sum(at < opened for at in each) for each in beside]  # later tokens attend to more, so the same ones are compared
    for each in idle:
        each.close()
    wait_for(server, "quern_requests_running", 0)
    return (after - before) / n_idle, speed(alone, first) / speed(beside, first) - 1


def measure_idle(arguments, table):
    """1,000 streams that wait in the queue beside 4 that run: their memory, and what they cost the running ones, the median of five tries."""
    with Quern(arguments, "--parallel", "4", "--queue", str(arguments.idle + 10)) as server:
        rounds = [slower_beside_idle(server, arguments) for _ in range(5)]
    each_kib, slower = rounds[0][0] / 1024, percentile([share for _, share in rounds], 0.5)
    table.add(f"memory of each of {arguments.idle} idle streams (RssAnon)", round(each_kib, 1), "KiB", "under 64 KiB", each_kib < 64)
    table.add("4 answers: slower beside them by", round(100 * slower, 1), "%", "at most 5 %", slower <= 0.05)


def measure_aborts(arguments, table):
    """200 clients that go away at random points, beside one answer that goes on."""
    rng = random.Random(3)
    with Quern(arguments) as server:
        server.stream(prompt_of(arguments, 64, 1), 8)
        n_free = server.metric("quern_kv_pages_free")
        watched = [None]
        watcher = threading.Thread(target=lambda: watched.__setitem__(0, server.stream(prompt_of(arguments, 32, 2), arguments.abort_tokens)))
        watcher.start()

        def abort(i):
            body = {"prompt": prompt_of(arguments, rng.randrange(10, 600), 100 + i), "max_tokens": 200, "stream": True, "ignore_eos": True}
            client, = server.open_streams(1, body)
            time.sleep(rng.choice([0, 0.01, 0.1, 0.3, 1.0]) * rng.random())
            client.close()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(abort, range(200)))
        ended = time.perf_counter()
        while server.metric("quern_requests_running") > (0 if not watcher.is_alive() else 1) and time.perf_counter() < ended + 10:
            time.sleep(0.005)
        gone = time.perf_counter() - ended
        watcher.join()
        begin = time.perf_counter()
        while server.metric("quern_kv_pages_free") != n_free and time.perf_counter() < begin + 5:
            time.sleep(0.01)
        missing = n_free - server.metric("quern_kv_pages_free")
    gaps = [b - a for a, b in zip(watched[0][1:], watched[0][2:])]
    table.add("200 aborted requests: pages that did not come back", int(missing), "", "none", missing == 0)
    table.add("the last of them gone after", round(1000 * gone, 1), "ms", "under 300 ms", gone < 0.3)
    table.add("gaps of the answer beside them, p50 / p99 / most", " / ".join(f"{1000 * percentile(gaps, q):.0f}" for q in (.5, .99, 1)), "ms")


def cpu_for_tokens(server, prompt, n_tokens):
    """CPU time in microseconds for each token of a stream: of the engine's thread, and of all others together."""
    before = server.thread_seconds()
    times = server.stream(prompt, n_tokens)
    after = server.thread_seconds()
    engine, *others = sorted((1e6 * (after[task] - before.get(task, 0)) / n_tokens for task in after), reverse=True)
    return engine, sum(others), len(times) - 1


def bare_overhead(arguments, n_messages):
    """CPU time in microseconds for which a program without HTTP wakes a thread and sends 200 bytes, beside reads of as much memory as a step of the model
    makes; None when `bench_socket` was not built beside quern."""
    program = pathlib.Path(arguments.quern).with_name("bench_socket")
    if not program.exists():
        return None
    mebibytes = os.path.getsize(arguments.model) >> 20
    return float(subprocess.run([program, str(mebibytes), "8", str(n_messages)], check=True, capture_output=True, text=True).stdout)


def measure_overhead(arguments, table):
    """CPU time of the server for each streamed token: at the model's pace, where each token wakes a sleeping thread, and at the greatest pace, with a
    model so small that the engine thread's time is largely the engine's own: the step, the token's way to the other thread, its wake."""
    n_tokens = arguments.overhead_tokens
    bare = [bare_overhead(arguments, n_tokens // 2)]
    with Quern(arguments, "--n_threads", "1") as server:
        server.stream(prompt_of(arguments, 16, 1), 16)
        _, http, n_events = cpu_for_tokens(server, prompt_of(arguments, 16, 2), n_tokens)
        before = server.thread_seconds()
        in_threads([lambda i=i: server.stream(prompt_of(arguments, 16, i), n_tokens // 4) for i in range(16)])
        after = server.thread_seconds()
        busiest = max(after, key=lambda task: after[task] - before.get(task, 0))  # the engine's
        together = 1e6 * sum(after[task] - before.get(task, 0) for task in after if task != busiest) / (16 * (n_tokens // 4))
    table.add(f"CPU of HTTP threads for a token ({n_events} events, {n_tokens} tokens)", round(http, 1), "us", "under 30 us", http < 30)
    table.add("  of 16 streams at once", round(together, 1), "us", "under 30 us", together < 30)
    bare.append(bare_overhead(arguments, n_tokens // 2))
    if None in bare:
        print("bench_socket is not there: build with cmake -DQUERN_BENCH=ON to see what the machine asks for a token")
    else:
        table.add("  of a program that only wakes a thread and sends, before and after", "{:.0f}, {:.0f}".format(*bare), "us")
    ours = argparse.Namespace(**{**vars(arguments), "model": str(STORIES)})
    with Quern(ours, "--n_threads", "1") as server:
        n_each, n_runs = 400, 40
        server.stream([1, 5, 9], n_each)
        runs = [cpu_for_tokens(server, [1 + (7 * i) % 400, 5, 9], n_each) for i in range(n_runs)]
    engine, http, n_events = (percentile([run[i] for run in runs], 0.5) for i in range(3))
    table.add(f"stories260K: CPU of the engine's thread for a token ({n_events / n_each:.2f} events each)", round(engine, 1), "us")
    table.add("  of the HTTP threads", round(http, 1), "us")


def measure_restart(arguments, table):
    """kill -9 while 16 answers run, and a new start on the same port."""
    server = Quern(arguments)
    body = {"prompt": prompt_of(arguments, 64, 1), "max_tokens": 500, "stream": True, "ignore_eos": True}
    clients = server.open_streams(16, body)
    time.sleep(2)
    server.process.kill()
    server.process.wait()
    begin = time.perf_counter()
    server = Quern(arguments, port=server.port)
    started = time.perf_counter() - begin
    server.stream(prompt_of(arguments, 8, 2), 1)
    served = time.perf_counter() - begin
    for client in clients:
        client.close()
    server.close()
    table.add("after kill -9 under load: listens again after", round(started, 2), "s")
    table.add("  and has answered a request after", round(served, 2), "s", "under 2 s", served < 2)
    with Quern(arguments, "--api-key", "sesame", key="sesame") as server:
        model, = [each["id"] for each in server.get("/v1/models")["data"]]
        server.post("/v1/models/unload", {"model": model})
        begin = time.perf_counter()
        server.post("/v1/models/load", {"model": model})
        seconds = time.perf_counter() - begin
    table.add("a model in the page cache loads again in", round(seconds, 3), "s", "under 1 s", seconds < 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quern", default="build/quern")
    parser.add_argument("--model", required=True)
    parser.add_argument("--peer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ids", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--json")
    for name, default in (("pause_tokens", 900), ("idle", 1000), ("idle_tokens", 600), ("abort_tokens", 1500), ("overhead_tokens", 1000)):
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    arguments = parser.parse_args()
    measures = {"streams": measure_streams, "pause": measure_pause, "prefix": measure_prefix, "idle": measure_idle,
                "aborts": measure_aborts, "overhead": measure_overhead, "restart": measure_restart}
    wanted = [name for name in arguments.only.split(",") if name] or list(measures)
    table = Table()
    print(f"{os.path.basename(arguments.model)}, {arguments.threads} threads, {time.strftime('%Y-%m-%d %H:%M')}")
    for name in wanted:
        measures[name](arguments, table)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(table.rows, indent=1))
    sys.exit(1 if table.failed() else 0)


if __name__ == "__main__":
    main()
