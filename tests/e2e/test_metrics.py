"""GET /metrics: read by Prometheus's own parser, and held against its naming rules."""

import re
import time

import pytest
import requests

from program import STORIES
from serving import Server

parser = pytest.importorskip("prometheus_client.parser")

# What `promtool check metrics` complains about in names and help texts.
BASE_UNITS = {"milliseconds", "ms", "minutes", "hours", "kilobytes", "megabytes", "gigabytes", "kib", "mib", "percent"}


def families(server):
    response = server.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = list(parser.text_string_to_metric_families(response.text))
    assert len({family.name for family in found}) == len(found)
    return {family.name: family for family in found}


def value(server, name, **labels):
    for family in families(server).values():
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return 0.0


def check_names(text):
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    assert set(types) == set(re.findall(r"^# HELP (\S+) \S.*$", text, re.M)) and len(types) > 40
    for name, kind in types.items():
        assert re.fullmatch(r"(quern_|process_|llamacpp:)[a-z0-9_]+", name), name
        assert (kind == "counter") == name.endswith("_total"), name
        assert not BASE_UNITS & set(re.split("[_:]", name)), name
        assert not re.search(r"(_counter|_gauge|_histogram|_bucket|_count|_sum)$", name), name
        assert kind in ("counter", "gauge", "histogram")
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r'[a-z_:0-9]+(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+', line), line


def test_names_and_types_follow_the_rules(stories_server):
    stories_server.post("/v1/completions", {"prompt": "Once", "max_tokens": 4})
    check_names(stories_server.get("/metrics").text)


def test_pages_of_layers_that_keep_a_window_are_counted_apart(stories_server):
    assert "window_pages" not in stories_server.get("/metrics").text  # of a model without such layers
    with Server("-m", STORIES, "-c", 256, "-b", 32, "--override-kv", "llama.attention.sliding_window=int:20") as server:
        server.post("/v1/completions", {"prompt": "Once upon a time there was a cat. " * 8, "max_tokens": 100, "ignore_eos": True})
        check_names(server.get("/metrics").text)
        counts = {}
        for kind in ("kv_pages", "kv_window_pages"):
            for _ in range(100):
                pages, used, free, cached = (value(server, f"quern_{kind}{part}") for part in ("", "_used", "_free", "_cached"))
                if used == 0:
                    break
                time.sleep(0.05)
            assert pages == free > 0 and used == 0 and 0 < cached <= pages
            counts[kind] = pages
        assert value(server, "llamacpp:kv_cache_usage_ratio") == 0
        # A long answer holds more and more of the one, of the other no more than its window and what is computed at once.
        body = {"prompt": "Once", "max_tokens": 240, "ignore_eos": True, "stream": True}
        most = {kind: 0 for kind in counts}
        with requests.post(server.url + "/v1/completions", json=body, stream=True, timeout=30) as response:
            for i, _ in enumerate(response.iter_lines()):
                if i % 20 == 0:
                    most = {kind: max(n, value(server, f"quern_{kind}_used")) for kind, n in most.items()}
        assert most["kv_window_pages"] <= 2 < counts["kv_window_pages"]


def test_histograms_add_up(stories_server):
    stories_server.post("/v1/completions", {"prompt": "Once", "max_tokens": 200, "ignore_eos": True})
    for family in families(stories_server).values():
        if family.type != "histogram":
            continue
        by_labels = {}
        for sample in family.samples:
            labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            by_labels.setdefault(labels, []).append(sample)
        for samples in by_labels.values():
            buckets = [sample.value for sample in samples if sample.name.endswith("_bucket")]
            assert buckets == sorted(buckets)
            assert buckets[-1] == next(sample.value for sample in samples if sample.name.endswith("_count"))
    assert value(stories_server, "quern_inter_token_seconds_count") >= 8


def test_tokens_are_counted(stories_server):
    names = ("quern_prompt_tokens_total", "quern_generated_tokens_total", "llamacpp:tokens_predicted_total", "quern_prompt_cached_tokens_total")
    before = {name: value(stories_server, name) for name in names}
    prompt = "the cat " * 40
    usages = [stories_server.post("/v1/completions", {"prompt": prompt, "max_tokens": 5, "ignore_eos": True}).json()["usage"] for _ in range(2)]
    after = {name: value(stories_server, name) for name in names}
    assert after["quern_prompt_tokens_total"] - before["quern_prompt_tokens_total"] == sum(usage["prompt_tokens"] for usage in usages)
    assert after["quern_generated_tokens_total"] - before["quern_generated_tokens_total"] == 10
    assert after["llamacpp:tokens_predicted_total"] - before["llamacpp:tokens_predicted_total"] == 10
    cached = sum(usage["prompt_tokens_details"]["cached_tokens"] for usage in usages)
    assert cached > 0 and after["quern_prompt_cached_tokens_total"] - before["quern_prompt_cached_tokens_total"] == cached


def test_answers_that_nobody_waits_for_are_counted(smollm2_server):
    """Their tokens were computed all the same; a request without an answer has the status 499."""
    labels = {"model": "smollm2", "outcome": "aborted"}
    before = value(smollm2_server, "quern_generations_total", **labels), value(smollm2_server, "quern_generated_tokens_total")
    body = {"prompt": "Once upon a time", "max_tokens": 1500, "ignore_eos": True, "stream": True}
    with requests.post(smollm2_server.url + "/v1/completions", json=body, stream=True, timeout=30) as response:
        assert next(response.iter_lines()).startswith(b"data:")
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(smollm2_server.url + "/v1/completions", json={**body, "stream": False}, timeout=0.5)
    for _ in range(600):  # a loaded machine may need longer to see that both have gone
        if value(smollm2_server, "quern_generations_total", **labels) == before[0] + 2:
            break
        time.sleep(0.05)
    assert value(smollm2_server, "quern_generations_total", **labels) == before[0] + 2
    assert value(smollm2_server, "quern_generated_tokens_total") > before[1] + 1
    assert value(smollm2_server, "quern_requests_total", route="/v1/completions", status="499") >= 1
    assert "status=\"0\"" not in smollm2_server.get("/metrics").text


def test_the_machine_and_the_models_are_measured(stories_server):
    with open(f"/proc/{stories_server.process.pid}/status") as status:
        resident = int(next(line for line in status if line.startswith("VmRSS")).split()[1]) * 1024
    assert value(stories_server, "process_resident_memory_bytes") == pytest.approx(resident, rel=0.2)
    assert abs(value(stories_server, "process_start_time_seconds") - time.time()) < 86400
    assert value(stories_server, "quern_models_resident") == 1
    assert 0 < value(stories_server, "quern_memory_used_bytes") <= value(stories_server, "quern_memory_budget_bytes")
    pages = value(stories_server, "quern_kv_pages")
    assert pages == value(stories_server, "quern_kv_pages_used") + value(stories_server, "quern_kv_pages_free") > 0
