"""Chat templates against jinja2 as `transformers` sets it up: real templates, single expressions and statements, random templates.

QUERN_RENDER_TEMPLATE names the driver (tests/drivers/render_template.cpp; default: render_template beside QUERN),
QUERN_TEMPLATES a folder of *.jinja (default: ../shared/templates beside the repo), QUERN_SMOLLM2 SmolLM2's GGUF.
"""

import copy
import itertools
import json
import os
import pathlib
import subprocess

import pytest

pytest.importorskip("jinja2")
chat_template_utils = pytest.importorskip("transformers.utils.chat_template_utils")
from template_cases import CONVERSATIONS, EXTRAS, STATEMENTS, TOOLS, VARIABLES, RandomTemplates, expressions  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUERN = pathlib.Path(os.environ.get("QUERN", ROOT / "build" / "quern"))
DRIVER = pathlib.Path(os.environ.get("QUERN_RENDER_TEMPLATE", QUERN.parent / "render_template"))
TEMPLATES = pathlib.Path(os.environ.get("QUERN_TEMPLATES", ROOT.parent / "shared" / "templates"))
SMOLLM2 = os.environ.get("QUERN_SMOLLM2")
BOS, EOS = "<s>", "</s>"
# What we refuse and Python computes: integers beyond 64 bits, complex numbers, giant values, differences of dict views. Never a wrong value.
LIMITS = ("exceeds 64 bits", "does not fit in 64 bits", "complex number", "is too large", "too much memory", "out of range", "types for -: 'dict_")
# jinja2 refuses to slice a number too, unless its optimizer finds the number constant.
FOLDED = ("cannot be sliced",)


class Driver:
    """Sends requests to the driver in one go."""

    def __init__(self):
        if not DRIVER.exists():
            pytest.fail(f"{DRIVER} is missing: build the target render_template")

    def render(self, requests):
        lines = "".join(json.dumps(request) + "\n" for request in requests)
        done = subprocess.run([DRIVER], input=lines.encode(), capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        replies = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(replies) == len(requests)
        return replies


@pytest.fixture(scope="module")
def driver():
    return Driver()


def original(request):
    """What transformers gives: ("text", text) or ("error", exception)."""
    try:
        request = copy.deepcopy(request)  # the filter indent changes lists in place
        template = chat_template_utils._compile_jinja_template(request["template"])
        return "text", template.render(messages=request["messages"], tools=request["tools"], documents=request["extra"].get("documents"),
                                       add_generation_prompt=request["add_generation_prompt"], bos_token=BOS, eos_token=EOS,
                                       **{k: v for k, v in request["extra"].items() if k != "documents"})
    except Exception as error:  # any exception of the original is a refusal
        return "error", error


def request_of(template, messages=(), tools=None, prompt=True, extra=None):
    return {"template": template, "messages": list(messages), "tools": tools, "add_generation_prompt": prompt, "bos": BOS, "eos": EOS, "extra": extra or {}}


def difference(request, reply):
    """None when the reply is that of the original, else a description."""
    kind, expected = original(request)
    if kind == "text":
        try:
            expected.encode()
        except UnicodeEncodeError:
            return None
        if "error" in reply:
            return f"refused: {reply['error']}\n  expected {expected!r}"
        if reply["text"] != expected:
            return f"got      {reply['text']!r}\n  expected {expected!r}"
    elif "error" not in reply:
        return f"got {reply['text']!r}\n  expected {type(expected).__name__}: {expected}"
    elif "raise_exception" in request["template"] and type(expected).__name__ == "TemplateError" and reply["error"] != str(expected):
        return f"message {reply['error']!r}\n  expected {expected!s}"
    return None


def part_faults(request, reply):
    """The parts are the text; neighbours differ in kind; what the request brought is never template text."""
    parts = reply["parts"]
    if "".join(text for text, _ in parts) != reply["text"]:
        return "the parts are not the text"
    if any(a[1] == b[1] or not a[0] for a, b in itertools.pairwise(parts)):
        return "neighbouring parts of one kind"
    if any("¤" in text for text, is_template in parts if is_template):
        return f"input counted as template text: {[text for text, is_template in parts if is_template and '¤' in text]}"
    return None


def check(driver, requests, names=None):
    failures = []
    for i, (request, reply) in enumerate(zip(requests, driver.render(requests))):
        fault = difference(request, reply) or ("error" not in reply and part_faults(request, reply))
        if fault:
            failures.append(f"{names[i] if names else request['template']!r}\n  {fault}")
    assert not failures, f"{len(failures)} of {len(requests)} differ:\n" + "\n".join(failures[:20])


def conversations(template):
    names, requests = [], []
    for (name, messages), tools, prompt, extra in itertools.product(CONVERSATIONS.items(), [None, TOOLS, []], [True, False], EXTRAS):
        names.append(f"{name}, {len(tools) if tools is not None else 'no'} tools, prompt {prompt}, extra {bool(extra)}")
        requests.append(request_of(template, messages, tools, prompt, extra))
    return names, requests


def template_files():
    return sorted(TEMPLATES.glob("*.jinja")) if TEMPLATES.is_dir() else []


@pytest.mark.parametrize("path", template_files() or [None], ids=lambda path: path.stem if path else "none")
def test_a_real_template_renders_as_in_transformers(driver, path):
    if path is None:
        pytest.skip(f"NO TEMPLATES COMPARED: {TEMPLATES} holds no *.jinja; set QUERN_TEMPLATES")
    names, requests = conversations(path.read_text(encoding="utf-8"))
    check(driver, requests, names)


def test_the_template_of_smollm2_renders_as_in_transformers(driver):
    if not SMOLLM2:
        pytest.skip("SmolLM2 NOT COMPARED: set QUERN_SMOLLM2 to its GGUF")
    gguf = pytest.importorskip("gguf")
    field = gguf.GGUFReader(SMOLLM2).fields["tokenizer.chat_template"]
    names, requests = conversations(bytes(field.parts[field.data[0]]).decode())
    check(driver, requests, names)


def test_expressions_print_as_in_jinja2(driver):
    requests = [request_of("{{ " + text + " }}", extra=VARIABLES) for text in expressions()]
    assert len(requests) >= 500
    check(driver, requests)


def test_statements_render_as_in_jinja2(driver):
    check(driver, [request_of(text, extra=VARIABLES) for text in STATEMENTS])


@pytest.mark.parametrize("seed", range(int(os.environ.get("QUERN_TEMPLATE_SEEDS", "2"))))
def test_random_templates_render_as_in_jinja2(driver, seed):
    source = RandomTemplates(seed)
    texts = ["{{ " + source.expression(3) + " }}" for _ in range(3000)] + [source.template(3) for _ in range(1500)]
    requests = [request_of(text, extra=VARIABLES) for text in texts]
    failures, n_texts = [], 0
    for request, reply in zip(requests, driver.render(requests)):
        if any(limit in reply.get("error", "") for limit in LIMITS + FOLDED):
            continue
        kind, expected = original(request)
        n_texts += kind == "text"
        if kind == "text" and any(address in expected for address in ("<generator object", " at 0x", "<built-in method", "<bound method", "Markup(")):
            continue
        fault = difference(request, reply)
        if fault:
            failures.append(f"{request['template']!r}\n  {fault}")
    assert n_texts > 1000, "the generator makes too few templates that render"
    assert not failures, f"{len(failures)} of {len(requests)} differ:\n" + "\n".join(failures[:20])


def test_the_named_formats_render_every_plain_conversation(driver):
    reply = driver.render([{"format": "nope", "messages": []}])[0]
    assert reply["kind"] == "render"
    names = reply["error"].split("known are ")[1].split(", ")
    assert len(names) >= 20 and "chatml" in names
    plain = [CONVERSATIONS["two turns"], CONVERSATIONS["system and two turns"], CONVERSATIONS["nasty"]]
    requests = [{"format": name, "messages": messages, "bos": BOS, "eos": EOS} for name in names for messages in plain]
    for request, reply in zip(requests, driver.render(requests)):
        assert "error" not in reply, (request, reply)
        assert part_faults(request, reply) is None, (request, reply)
        at = -1
        for message in request["messages"]:
            at = reply["text"].find(message["content"].strip(), at + 1)
            assert at >= 0, (request["format"], message, reply["text"])
