#!/usr/bin/env python3
"""Drives a server with everything at once for a long time, and checks that nothing is lost, leaked or mixed up.

Clients send random requests over all routes to more models than the memory budget holds, go away at random points, and send what is broken. Every so
often all of them pause: then no request may be left, every page must be back, and memory, threads and files are noted. At the end none of those may
have grown, nothing may have failed that should not, and a random share of the answers is asked for again, one after the other, of this server and of a
fresh one that guesses nothing ahead: the same seed must give the same answer.
"""

import argparse
import collections
import dataclasses
import http.client
import json
import pathlib
import random
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from answers import comparable, failed  # noqa: E402
from measures import LEAST_LOOKS, complaints, holdings  # noqa: E402
from program import SMOLLM2, STORIES, quern  # noqa: E402
from random_requests import RequestMaker, text  # noqa: E402
from serving import Server  # noqa: E402

KEY = {"Authorization": "Bearer soak"}
BUSY = {"overloaded", "queue_full", "rate_limit_exceeded", "unloaded", "model_in_use", "insufficient_memory"}
INJECTIONS = ("none", "files", "memory", "answers", "pages", "error", "death")
LEAST_COMPARED = 20


@dataclasses.dataclass
class Answered:
    path: str
    body: dict
    answer: object


class Soak:
    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.config = write_config(folder)
        self.rng = random.Random(arguments.seed)
        self.beginnings = [text(self.rng, 60) for _ in range(4)]
        self.problems, self.counts, self.answered, self.noted = [], collections.Counter(), [], []
        self.lock = threading.Lock()
        self.goes_on, self.may_send = threading.Event(), threading.Event()
        self.n_busy = self.n_compared = 0
        self.held = []  # what an injected fault holds on to

    def problem(self, *words):
        with self.lock:
            self.problems.append(" ".join(map(str, words)))
            if len(self.problems) < 20:
                print("PROBLEM", self.problems[-1][:600], flush=True)

    # -- clients

    def exchange(self, method, path, data=None, timeout=240):
        """(status, headers, text) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=timeout)
        try:
            connection.request(method, path, data, KEY)
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode("utf-8", "strict")
        finally:
            connection.close()

    def client(self, index):
        rng = random.Random(self.arguments.seed * 1000 + index)
        maker = RequestMaker(rng, self.beginnings)
        acts = [(self.ask, 30), (self.go_away, 8), (self.send_broken, 5), (self.look, 4), (self.swap, 1)]
        while self.goes_on.is_set():
            self.may_send.wait()
            with self.lock:
                self.n_busy += 1
            try:
                rng.choices([act for act, _ in acts], [weight for _, weight in acts])[0](rng, maker)
            except (OSError, http.client.HTTPException) as error:
                self.problem("a connection failed:", repr(error))
            except Exception as error:  # of this program
                self.problem("the soak test itself failed:", repr(error))
            finally:
                with self.lock:
                    self.n_busy -= 1

    def make(self, rng, maker):
        kinds = [(maker.completion, 10), (maker.chat, 10), (maker.scoring, 2), (maker.other_chat, 4), (maker.vectors, 2), (maker.words, 3)]
        return rng.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]()

    def ask(self, rng, maker):
        path, body = self.make(rng, maker)
        status, headers, answer = self.exchange("POST", path, json.dumps(body))
        self.judge(path, body, status, headers, answer)
        can_differ = body.get("temperature", body.get("options", {}).get("temperature")) not in (0, None) and "seed" not in body
        if status == 200 and not can_differ and path not in ("/api/show", "/infill") and rng.random() < self.arguments.share and not failed(answer):
            with self.lock:
                self.answered.append(Answered(path, body, comparable(body, answer)))

    def judge(self, path, body, status, headers, answer):
        code = "" if status == 200 else " " + str((json.loads(answer).get("error") or {}) if answer.startswith("{") else answer)[:self.arguments.words]
        self.counts[f"{path} {status}{code}"] += 1
        if status == 200:
            error = failed(answer) if body.get("stream", path.startswith("/api/")) else None
            if error and not (isinstance(error, dict) and error.get("code") in BUSY):
                self.problem(path, "a stream ended with", error)
            return
        if status in (429, 503) and "Retry-After" in headers:
            return
        if status >= 500 or status not in (400, 404, 409):
            self.problem(path, status, answer[:300], json.dumps(body)[:200])

    def go_away(self, rng, maker):
        """Sends a part of a request, or all of it, reads a part of the answer or nothing, and closes."""
        path, body = self.make(rng, maker)
        data = json.dumps(body).encode()
        whole = b"POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer soak\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(data)) + data
        with self.server.connect() as connection:
            connection.sendall(whole if rng.random() < 0.8 else whole[:rng.randint(1, len(whole))])
            connection.settimeout(rng.choice([0.001, 0.01, 0.1, 0.5]))
            try:
                for _ in range(rng.randint(0, 6)):
                    if not connection.recv(rng.choice([1, 100, 4000])):
                        break
            except OSError:
                pass
        self.counts["gone away"] += 1
        if self.arguments.inject == "files" and rng.random() < 0.5:
            self.held.append(self.server.connect())

    def send_broken(self, _, maker):
        path, data = maker.broken()
        try:
            status, _, answer = self.exchange("POST", path, data)
        except (BrokenPipeError, ConnectionResetError):
            status, answer = 413, ""  # the refusal of a body that was not wanted to its end
        self.counts[f"broken {status}"] += 1
        if not 400 <= status < 500:
            self.problem("broken", path, status, answer[:300], data[:200])

    def look(self, _, maker):
        path = maker.look()
        status, headers, answer = self.exchange("GET", path)
        self.judge(path, {}, status, headers, answer)

    def swap(self, rng, _):
        """Loads or unloads a model in the middle of everything."""
        path = rng.choice(["/v1/models/load", "/v1/models/unload"])
        model = rng.choice(["smol", "stories", "stories-small", "tiny", "bert"])
        status, headers, answer = self.exchange("POST", path, json.dumps({"model": model}))
        self.judge(path, {}, status, headers, answer)

    # -- what is watched

    def models(self):
        return json.loads(self.exchange("GET", "/v1/models")[2])["data"]

    def loaded(self):
        return [model["id"] for model in self.models() if model["status"]["value"] == "loaded"]

    def metric(self, name):
        lines = self.exchange("GET", "/metrics")[2].splitlines()
        return {line.split('model="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{")}

    def pause(self):
        """Lets all clients wait, and looks at what is left then."""
        self.may_send.clear()
        deadline = time.monotonic() + 240
        while self.n_busy > 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.n_busy > 0:
            self.problem(self.n_busy, "requests were not answered within 240 s")
        self.inject_at_pause()
        self.check_pages()
        for model in self.loaded():
            status, _, answer = self.exchange("POST", "/v1/models/unload", json.dumps({"model": model}))
            if status != 200:
                self.problem("a quiet server does not unload", model, status, answer)
        time.sleep(0.3)
        now = holdings(self.server.process.pid, time.monotonic() - self.start)
        self.noted.append(now)
        print(f"{now.seconds:6.0f} s: {sum(self.counts.values()):6d} requests, {len(self.problems)} problems, {now.anonymous_kib >> 10} MiB, "
              f"{now.n_threads} threads, {now.n_files} files", flush=True)
        self.may_send.set()

    def hold(self, n_bytes, data=b""):
        """Begins a completion of so many bytes and does not end it."""
        self.held.append(self.server.connect())
        self.held[-1].sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nAuthorization: Bearer soak\r\n\r\n" % n_bytes + data)

    def inject_at_pause(self):
        fault, n_before = self.arguments.inject, len(self.noted)
        if fault == "pages" and n_before == 1:
            body = json.dumps({"model": "smol", "prompt": "x", "max_tokens": 900, "ignore_eos": True, "stream": True}).encode()
            self.hold(len(body), body)
            time.sleep(0.5)
        if fault == "memory":  # the server keeps what it has of a body
            while n_before == 0 and len(self.held) < 16:
                self.hold(2 << 20)
            for connection in self.held:
                connection.sendall(b" " * (150 << 10))
        if fault == "death" and n_before == 1:
            self.server.process.kill()
            self.server.process.wait()

    def check_pages(self):
        for _ in range(50):  # those that went away last
            left = {}
            for kind in ("quern_kv_pages", "quern_kv_window_pages"):
                pages, free = self.metric(kind), self.metric(kind + "_free")
                left.update({(kind, model): pages[model] - free[model] for model in pages if pages[model] != free[model]})
            busy = {model: n for name in ("quern_requests_running", "quern_requests_waiting") for model, n in self.metric(name).items() if n}
            if not left and not busy:
                return
            time.sleep(0.1)
        self.problem("pages were not given back:", left, "requests left:", busy)

    def compare(self, where):
        """Asks for a random share of the answers again, one after the other."""
        deadline = time.monotonic() + self.arguments.compare_seconds
        n_compared = n_different = 0
        least = min(LEAST_COMPARED, len(self.answered) // 2)
        for each in random.Random(self.arguments.seed).sample(self.answered, len(self.answered)):
            if time.monotonic() > deadline and n_compared >= least:
                break
            body = dict(each.body, seed=each.body["seed"] + 1) if self.arguments.inject == "answers" and "seed" in each.body else each.body
            status, _, answer = self.exchange("POST", each.path, json.dumps(body))
            n_compared += 1
            if status != 200 or (again := comparable(body, answer)) != each.answer:
                n_different += 1
                self.problem("another answer", where, each.path, json.dumps(each.body)[:300], "\n  was:", json.dumps(each.answer)[:500],
                             "\n  now:", json.dumps(again)[:500] if status == 200 else answer[:300])
        print(f"{n_compared} of {len(self.answered)} answers compared {where}, {n_different} differ", flush=True)
        if n_compared < LEAST_COMPARED:
            self.problem("only", n_compared, "answers were compared", where)
        self.n_compared += n_compared

    def drive(self):
        """Lets the clients send until the time is over, and until enough was noted to tell what grows."""
        clients = [threading.Thread(target=self.client, args=(i,)) for i in range(self.arguments.clients)]
        self.goes_on.set()
        self.may_send.set()
        for client in clients:
            client.start()
        try:
            end = self.start + self.arguments.seconds
            while time.monotonic() < end or len(self.noted) < LEAST_LOOKS:
                time.sleep(self.arguments.pause_every)
                self.pause()
        except (OSError, http.client.HTTPException) as error:
            self.problem("the server could not be looked at:", repr(error))
        finally:
            self.goes_on.clear()
            self.may_send.set()
            for client in clients:
                client.join()

    def run(self):
        self.start = time.monotonic()
        with Server("--config-file", self.config, "--api-key", "soak", "--log-disable") as self.server:
            self.drive()
            if self.arguments.inject == "error":
                self.judge("/injected", {}, 500, {}, "an injected failure")
            for held in self.held:
                held.close()
            if (code := self.server.process.poll()) is not None:
                self.problem("the server ended by itself with", code)
            else:
                for complaint in complaints(self.noted):
                    self.problem(complaint)
                self.compare("on the quiet server")
                code, errors = self.server.stop()
                if code != 0 or "error" in errors.lower():
                    self.problem("the server ended with", code, errors[-2000:])
        with Server("--config-file", write_config(self.folder, fresh=True), "--api-key", "soak", "--log-disable") as self.server:
            self.compare("on a fresh server")
        for what, n in sorted(self.counts.items()):
            print(f"{n:7d}  {what}")
        print("FAILED" if self.problems else "PASSED", f"{sum(self.counts.values())} requests, {self.n_compared} answers compared, {len(self.problems)} problems")
        return self.problems


def write_config(folder, fresh=False):
    """More models than fit at once; pools so small that answers must give up their pages; guesses ahead in two of them."""
    guess = {} if fresh else {"draft_ngram": 2}
    models = [
        {"model": str(STORIES), "model_alias": "stories", "n_ctx": 256, "kv_budget": 4, "chat_format": "chatml", **guess},
        {"model": str(STORIES), "model_alias": "stories-small", "n_ctx": 128, "parallel": 3, "kv_budget": 1, "chat_format": "chatml", "type_k": "f32"},
        {"model": str(folder / "tiny.gguf"), "model_alias": "tiny", "n_ctx": 200, "parallel": 6, "kv_budget": 4},
        {"model": str(folder / "bert.gguf"), "model_alias": "bert", "kv_budget": 2},
    ]
    smol = {"model": str(SMOLLM2), "model_alias": "smol", "n_ctx": 1024, "parallel": 8, "kv_budget": 36, "type_k": "q8_0", **guess}
    models.append(smol if SMOLLM2.exists() else {**models[0], "model_alias": "smol", "n_ctx": 1024})
    path = folder / ("fresh.json" if fresh else "soak.json")
    path.write_text(json.dumps({"memory_budget": 400 if fresh else 260, "max_body": 2, "models": models}))
    return path


def make_models(folder):
    from test_embed import make_bert  # torch takes its time
    from tiny_models import make, write
    write(make("llama-gqa-tied"), folder / "tiny.gguf")
    make_bert(folder / "hf")
    quern("convert", folder / "hf", "--outfile", folder / "bert.gguf", "--outtype", "f32")


def soak(words=None):
    """The problems that were found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause-every", type=float, default=30, help="seconds between two looks at a quiet server")
    parser.add_argument("--share", type=float, default=0.2, help="of the answers that may be asked for again")
    parser.add_argument("--compare-seconds", type=float, default=120, help="for asking again, on each of the two servers")
    parser.add_argument("--words", type=int, default=0, help="letters of each error that its count is kept by")
    parser.add_argument("--inject", choices=INJECTIONS, default="none", help="a fault that must be found")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_models(folder)
        return Soak(arguments, folder).run()


if __name__ == "__main__":
    sys.exit(1 if soak() else 0)
