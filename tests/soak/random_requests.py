"""Requests at random: every route, good and bad, short and near the end of the window. The same seed makes the same requests."""

import json

WORDS = ("the a small bear found honey in the old forest and went home with her friend because it was late but rain came down on river stones "
         "while birds sang über naïve 東京 🙂 1 42 3.14 (yes) [no] {maybe} \"so\" it's").split()
CHATS = ["smol", "stories", "stories-small"]
MODELS = [*CHATS, "tiny"]
WINDOWS = {"smol": 1024, "stories": 256, "stories-small": 128, "tiny": 200}
VECTORS = "bert"


def text(rng, n_words):
    return " ".join(rng.choice(WORDS) for _ in range(n_words))


class RequestMaker:
    """Makes one request after the other: (method, path, body as bytes, statuses that are right for it)."""

    def __init__(self, rng, beginnings):
        self.rng = rng
        self.beginnings = beginnings  # shared by all clients: what prefix caches are for

    def prompt(self, model):
        rng = self.rng
        kind = rng.random()
        n_most = WINDOWS[model] // 8
        if kind < 0.35:
            return rng.choice(self.beginnings)[:WINDOWS[model]] + " " + text(rng, rng.randint(1, 8))
        if kind < 0.45:
            return text(rng, WINDOWS[model] // rng.choice([2, 3, 5]))  # may or may not fit
        return text(rng, rng.randint(1, n_most))

    def sampling(self):
        rng = self.rng
        body = {"seed": rng.randint(0, 2**31), "temperature": rng.choice([0, 0, 0.3, 0.8, 1, 1.5])}
        extras = [("top_k", rng.choice([0, 1, 5, 40])), ("top_p", round(rng.random(), 2) or 0.5), ("min_p", 0.05), ("repeat_penalty", 1.1),
                  ("presence_penalty", 0.5), ("frequency_penalty", 0.5), ("typical_p", 0.9), ("xtc_probability", 0.5), ("dry_multiplier", 0.8),
                  ("mirostat", rng.choice([1, 2])), ("dynatemp_range", 0.3), ("logit_bias", {"65": 3, "100": -100})]
        body.update(rng.sample(extras, rng.choice([0, 0, 1, 2, 3])))
        if rng.random() < 0.2:
            body["stop"] = rng.sample([".", " the", "\n\n", "and", "a"], rng.randint(1, 3))
        if rng.random() < 0.15:
            body["ignore_eos"] = True
        return body

    def n_tokens(self):
        return self.rng.choice([1, 3, 8, 16, 32, 64, 120])

    def completion(self):
        rng = self.rng
        model = rng.choice(MODELS)
        body = {"model": model, **self.sampling(), "max_tokens": self.n_tokens(), "prompt": self.prompt(model)}
        if rng.random() < 0.2:
            body["prompt"] = [self.prompt(model) for _ in range(rng.randint(1, 3))]
        elif rng.random() < 0.15:
            body["prompt"] = [rng.randint(3, 250) for _ in range(rng.randint(1, WINDOWS[model] - 5))]
        if rng.random() < 0.2:
            body["logprobs"] = rng.randint(0, 5)
        if rng.random() < 0.15:
            body.update(n=rng.randint(2, 4))
        if rng.random() < 0.1:
            body.update(cache_prompt=False)
        if rng.random() < 0.5:
            body.update(stream=True, stream_options={"include_usage": True})
        return "/v1/completions", body

    def scoring(self):
        model = self.rng.choice(MODELS)
        return "/v1/completions", {"model": model, "prompt": self.prompt(model), "echo": True, "logprobs": 1, "temperature": 0, "seed": 1,
                                   "max_tokens": self.rng.choice([0, 1, 4])}

    def messages(self, model):
        turns = [{"role": "system", "content": self.rng.choice(self.beginnings)[:WINDOWS[model] // 2]}] if self.rng.random() < 0.5 else []
        turns.append({"role": "user", "content": self.prompt(model)})
        if self.rng.random() < 0.3:
            turns += [{"role": "assistant", "content": text(self.rng, 5)}, {"role": "user", "content": text(self.rng, 5)}]
        return turns

    def chat(self):
        rng = self.rng
        model = rng.choice(CHATS)
        body = {"model": model, **self.sampling(), "max_tokens": self.n_tokens(), "messages": self.messages(model)}
        if rng.random() < 0.2:
            body.update(logprobs=True, top_logprobs=rng.randint(0, 5))
        if rng.random() < 0.15:
            body.update(n=rng.randint(2, 3))
        if rng.random() < 0.6:
            body.update(stream=True)
        return "/v1/chat/completions", body

    def other_chat(self):
        rng = self.rng
        model = rng.choice(CHATS)
        n, stream = self.n_tokens(), rng.random() < 0.5
        turns = [{"role": "user", "content": self.prompt(model)}]
        return rng.choice([
            ("/v1/responses", {"model": model, "input": turns, "temperature": 0, "max_output_tokens": max(16, n), "stream": stream}),
            ("/v1/messages", {"model": model, "messages": turns, "temperature": 0, "max_tokens": n, "stream": stream}),
            ("/api/chat", {"model": model, "messages": turns, "options": {"temperature": 0, "num_predict": n}, "stream": stream}),
            ("/api/generate", {"model": model, "prompt": text(rng, 5), "options": {"temperature": 0, "num_predict": n}, "stream": stream}),
            ("/completion", {"model": model, "prompt": self.prompt(model), "temperature": 0, "n_predict": n, "stream": stream}),
            ("/infill", {"model": "smol", "input_prefix": "def f():", "input_suffix": "return x", "n_predict": n}),
        ])

    def vectors(self):
        texts = [text(self.rng, self.rng.randint(1, 3)) for _ in range(self.rng.randint(1, 40))]
        return self.rng.choice([
            ("/v1/embeddings", {"model": VECTORS, "input": texts}), ("/v1/rerank", {"model": VECTORS, "query": "bear", "documents": texts}),
            ("/api/embed", {"model": VECTORS, "input": texts}), ("/v1/embeddings", {"model": VECTORS, "input": text(self.rng, 500)})])

    def words(self):
        model, long = self.rng.choice(MODELS), self.rng.random() < 0.2
        content = text(self.rng, 20000 if long else 20)
        return self.rng.choice([
            ("/tokenize", {"model": model, "content": content}), ("/extras/tokenize/count", {"model": model, "input": content}),
            ("/detokenize", {"model": model, "tokens": [self.rng.randint(0, 258) for _ in range(30)]}),
            ("/apply-template", {"model": self.rng.choice(CHATS), "messages": [{"role": "user", "content": content}]}),
            ("/v1/messages/count_tokens", {"model": "smol", "messages": [{"role": "user", "content": content}], "max_tokens": 1}),
            ("/v1/completions", {"model": model, "prompt": content, "max_tokens": 1, "temperature": 0}), ("/api/show", {"model": model})])

    def look(self):
        return self.rng.choice(["/v1/models", f"/v1/models/{self.rng.choice(MODELS)}", "/metrics", "/health", "/slots?model=smol", "/props?model=stories",
                                "/api/tags", "/api/ps", "/openapi.json", "/docs", "/ready"])

    def broken(self):
        """(path, body) that must be a 4xx."""
        rng = self.rng
        path, body = self.chat()
        whole = json.dumps(body).encode()
        return rng.choice([
            (path, whole[:rng.randint(1, len(whole) - 1)]), (path, b"[" * rng.randint(100, 50000)), (path, bytes(rng.randbytes(rng.randint(1, 2000)))),
            (path, json.dumps({**body, "temperature": rng.choice([-1, "hot", 1e9, []])}).encode()),
            (path, json.dumps({**body, "messages": rng.choice([[], {}, "x", [{"role": 3}], [{"role": "user", "content": {"a": 1}}]])}).encode()),
            (path, json.dumps({**body, "n": 10**9}).encode()), (path, json.dumps({**body, "model": "no-such"}).encode()),
            (path, json.dumps({**body, "messages": [{"role": "user", "content": text(rng, 5000)}]}).encode()),
            (path, b" " * (3 << 20)), ("/v1/completions", b'{"prompt": [-5], "model": "tiny"}'), ("/no/such/route", whole),
            ("/v1/embeddings", b'{"model": "smol", "input": "x"}'), ("/v1/completions", b'{"prompt": [[]], "model": "tiny"}')])
