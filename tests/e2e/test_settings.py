"""Where settings come from, what they do, and that the documents tell of all of them."""

import json
import os
import re

import numpy as np
import pytest

from program import ROOT, STORIES, complaint, quern
from serving import Server, error_of

TEXT = "Once upon a time there was a little girl who lived in a big house."


def config_of(*arguments, **options):
    return json.loads(quern("serve", *arguments, "--print-config", **options).stdout)


def logits(tmp_path, *flags, model=STORIES, text=TEXT):
    out = tmp_path / "logits"
    quern("run", "-m", model, "-p", text, "--logits-out", out, *flags)
    return np.fromfile(out, "<f4")


def greedy(server, **fields):
    body = {"prompt": TEXT, "max_tokens": 12, **fields}
    return server.post("/v1/completions", body).json()["choices"][0]["text"]


def test_the_table_in_the_documents_is_the_programs():
    text = (ROOT / "docs" / "settings.md").read_text()
    assert text.split("--print-settings -->\n\n")[1] == quern("serve", "--print-settings").stdout


def test_the_readmes_table_names_real_settings_with_their_defaults():
    server = config_of("-m", "a.gguf")
    known = {**server, **server["models"][0], "api_key": None}
    rows = re.findall(r"^\| `-.*?\| (`.+?) \| (`.+?) \| (.*?) \|$", (ROOT / "README.md").read_text(), re.M)
    assert len(rows) > 15
    for keys, variables, default in rows:
        for key in re.findall("`(.+?)`", keys):
            assert key in known and f"`{key.upper()}`" in variables, key
        value = known[re.findall("`(.+?)`", keys)[0]]
        if isinstance(value, int) and not isinstance(value, bool) and "," not in keys and value:
            assert str(value) in default, (keys, value, default)


def test_every_setting_is_in_the_help_by_group():
    text = quern("serve", "--help").stdout
    config = config_of("-m", "a.gguf")
    for key in [*config, *config["models"][0]]:
        assert key == "models" or f"({key.upper()})" in re.sub(r"\s+", " ", text), key
    assert text.index("Models:") < text.index("Answers:") < text.index("Model file:") < text.index("Server:") < text.index("Log:")
    assert max(map(len, text.splitlines())) < 260


def test_the_printed_configuration_is_a_configuration(tmp_path):
    first = config_of("-m", "a.gguf", "--rope-scaling", "yarn", "--yarn_orig_ctx", "128", "--n_ctx", "99", "--cache", "true", "--pin")
    (tmp_path / "config.json").write_text(json.dumps(first))
    assert config_of("--config_file", tmp_path / "config.json") == first
    assert first["models"][0]["pin"] is True and first["models"][0]["yarn_orig_ctx"] == 128


def test_what_has_no_effect_is_said_once_and_why(tmp_path):
    model = {"model": "a.gguf", "n_ubatch": 128, "numa": True, "use_mmap": True}
    (tmp_path / "config.json").write_text(json.dumps({"models": [model, model]}))
    errors = quern("serve", "--config_file", tmp_path / "config.json", "--print-config").stderr
    assert errors.count("n_ubatch has no effect: a step is computed as a whole") == 1
    assert errors.count("\n") == 2 and "use_mmap" not in errors
    assert "n-ubatch has no effect" in quern("serve", "-m", "a", "--n_ubatch", "3", "--print-config").stderr
    assert "VOCAB_ONLY: a server needs the weights" in complaint("serve", "-m", "a", env={"VOCAB_ONLY": "true"})
    assert "does not download models" in complaint("serve", "-m", "a", "--hf_model_repo_id", "a/b")
    assert "there is no draft model file" in complaint("serve", "-m", "a", "--draft_model", "/no/such.gguf")


def test_a_dry_run_tells_the_memory():
    out = quern("serve", "-m", STORIES, "-c", 256, "--parallel", 4, "--dry-run").stdout
    assert "one window of 256 tokens" in out and "4 of them" in out and "memory budget" in out


def test_a_key_of_the_file_is_read_with_another_value(tmp_path):
    base = logits(tmp_path)
    changed = logits(tmp_path, "--override-kv", "llama.attention.layer_norm_rms_epsilon=float:0.1")
    assert np.abs(base - changed).max() > 0.01
    assert "file has it as" in complaint("run", "-m", STORIES, "-p", "x", "--override-kv", "llama.block_count=str:x")
    assert "outside" in complaint("run", "-m", STORIES, "-p", "x", "--override-kv", "llama.block_count=int:-1")
    done = quern("run", "-m", STORIES, "-p", "x", "-n", 1, "--override-kv", "llama.blockcount=int:1")
    assert "no key llama.blockcount" in done.stderr


def test_rope_by_flags_is_rope_by_the_files_keys(tmp_path):
    flags = logits(tmp_path, "--rope-scaling", "yarn", "--rope-scale", 4, "--yarn-orig-ctx", 32, "--rope-freq-base", 5000)
    keys = logits(tmp_path, *[word for key, value in {"scaling.type": "str:yarn", "scaling.factor": "float:4", "freq_base": "float:5000",
                                                      "scaling.original_context_length": "int:32"}.items()
                              for word in ("--override-kv", f"llama.rope.{key}={value}")])
    assert np.abs(flags - logits(tmp_path)).max() > 0.05
    np.testing.assert_array_equal(flags, keys)
    assert "YaRN have no effect" in quern("run", "-m", STORIES, "-p", "x", "-n", 1, "--yarn-orig-ctx", 32).stderr


@pytest.mark.parametrize("flags, config", [
    (["--rope-freq-scale", 0.5], dict(rope_type="linear", factor=2.0)),
    (["--rope-scaling", "yarn", "--rope-scale", 4, "--yarn-orig-ctx", 64],
     dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)),
])
def test_stretched_rope_is_that_of_transformers(flags, config, tmp_path):
    torch = pytest.importorskip("torch")
    import checkpoints
    import transformers
    settings = dict(vocab_size=259, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                    max_position_embeddings=256, rope_theta=10000.0)
    torch.manual_seed(1)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings)).eval()
    checkpoints.save(model, tmp_path / "hf")
    quern("convert", tmp_path / "hf", "--outtype", "f32", "--outfile", tmp_path / "m.gguf")
    text = TEXT * 3
    ours = logits(tmp_path, "-ctk", "f32", "-ctv", "f32", *flags, model=tmp_path / "m.gguf", text=text)
    ids = json.loads(quern("tokenize", "-m", tmp_path / "m.gguf", "--ids", "-p", text).stdout)
    stretched = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings, rope_scaling=config)).eval()
    stretched.load_state_dict(model.state_dict())
    with torch.no_grad():
        theirs, plain = (m(torch.tensor([ids])).logits[0, -1].numpy() for m in (stretched, model))
    assert np.abs(theirs - plain).max() > 1e-3
    assert np.abs(ours - theirs).max() < 2e-4 * (theirs.max() - theirs.min())


def test_a_models_seed_is_that_of_requests_without_one():
    with Server("-m", STORIES, "-c", 256, "--seed", 5) as server:
        texts = {greedy(server, temperature=1) for _ in range(4)}
        assert len(texts) == 1 and texts == {greedy(server, temperature=1, seed=5)}
        assert len({greedy(server, temperature=1, seed=-1) for _ in range(6)}) > 1
        choices = server.post("/v1/completions", {"prompt": TEXT, "max_tokens": 12, "temperature": 1, "n": 3}).json()["choices"]
        assert len({choice["text"] for choice in choices}) > 1


@pytest.fixture(scope="module")
def broken_template(tmp_path_factory):
    path = tmp_path_factory.mktemp("broken") / "broken.gguf"
    quern("quantize", "--override-kv", "tokenizer.chat_template=str:{% if %}", "--override-kv",
          "tokenizer.chat_template.other=str:{{ messages[0].content }}", STORIES, path, "COPY")
    return path


def test_a_template_that_does_not_parse_stops_chats_only(broken_template, tmp_path):
    assert quern("run", "-m", broken_template, "-p", TEXT, "-n", 3, "--temp", 0).stdout == quern(
        "run", "-m", STORIES, "-p", TEXT, "-n", 3, "--temp", 0).stdout
    for flags in (["--chat"], []):
        done = quern("run", "-m", broken_template, *flags, check=False)
        assert done.returncode == 1 and "tokenizer.chat_template: " in done.stderr.splitlines()[-1] and "--chat-format" in done.stderr
    with Server("-m", broken_template) as server:
        assert greedy(server, temperature=0)
        chat = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 3}
        answer = server.post("/v1/chat/completions", chat)
        assert answer.status_code == 400 and "tokenizer.chat_template: " in error_of(answer)["message"]
        assert server.post("/api/generate", {"model": "broken", "prompt": "x"}).status_code == 400
        assert server.post("/apply-template", chat).status_code == 400
        _, errors = server.stop()
    assert "tokenizer.chat_template: " in errors and "chats are refused" in errors
    template = tmp_path / "own.jinja"
    template.write_text("{{ messages[0].content }}!")
    for flags in (["--chat-format", "chatml"], ["--chat_format", "chat_template.other"], ["--chat-template-file", template]):
        with Server("-m", broken_template, *flags) as server:
            assert server.post("/v1/chat/completions", chat).status_code == 200
            prompt = server.post("/apply-template", chat).json()["prompt"]
            assert prompt == ("x!" if template in flags else "x") or "chatml" in flags
    assert "it has chat_template.default, chat_template.other" in complaint("run", "-m", broken_template, "-p", "x", "--chat-format",
                                                                            "chat_template.none")


def test_the_log_may_go_to_a_file(tmp_path):
    log = tmp_path / "log"
    with Server("-m", STORIES, "--log-file", log, "-v", "--yarn-orig-ctx", 64) as server:
        server.stop()
    assert "YaRN" in log.read_text() and "loaded stories260K" in log.read_text()
    assert "cannot write the log" in complaint("serve", "-m", STORIES, "--log-file", "/no/such/folder/log")


def test_the_packaging_uses_flags_that_exist(tmp_path):
    unit = (ROOT / "packaging" / "quern.service").read_text()
    flags = re.findall(r"--[a-z-]+", re.search(r"ExecStart=.*", unit).group())
    text = quern("serve", "--help").stdout
    assert flags and all(flag in text for flag in flags)
    docker = (ROOT / "packaging" / "Dockerfile").read_text()
    for name, value in re.findall(r"(\w+)=(\S+)", re.search(r"ENV (.*)", docker).group(1)):
        assert str(config_of("-m", "a", env={name: value})[name.lower()]) == value
    config = tmp_path / "config.yaml"
    config.write_text("models:\n  - model: a.gguf\n")
    assert config_of(*flags[:1], config, "--api-key-file", os.devnull)["api_key_file"] == os.devnull


def test_every_flag_may_be_written_with_underscores(tmp_path):
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", (ROOT / "docs" / "settings.md").read_text(), re.M)
    flags = [flag for _, names in rows for flag in re.findall(r"--([\w-]+)", names)]
    assert len(flags) > 100
    for key, value in {"n_queue": 7, "queue": 7, "ctx_size": 7, "n_threads": 7}.items():
        assert 7 in config_of("-m", "a.gguf", f"--{key}", value)["models"][0].values()
    values = {"log-file": os.devnull, "verbosity": "1", "log-verbosity": "1"}  # these act at once
    words = [word for flag in flags for word in ("--" + flag.replace("-", "_"), values.get(flag, "x"))]
    errors = quern("serve", *words, "--no_such_flag", check=False).stderr
    assert "not expected: --no-such-flag " in errors, errors  # and nothing else


def test_what_goes_before_what(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"host": "1.1.1.1", "port": 1, "timeout": 1, "models": [{"model": "a.gguf", "n_ctx": 1}]}))
    env = {"CONFIG_FILE": str(tmp_path / "config.json"), "HOST": "2.2.2.2", "PORT": "2", "TIMEOUT": "2", "N_CTX": "2", "N_BATCH": "2", "MAX_BODY": "2"}

    def chosen(*flags):
        config = config_of(*flags, env=env)
        return [config[key] for key in ("host", "port", "timeout", "max_body")] + [config["models"][0][key] for key in ("n_ctx", "n_batch")]

    assert chosen() == ["2.2.2.2", 2, 1, 2, 1, 2]
    assert chosen("--host", "3.3.3.3", "--port", 3, "--timeout", 3, "--n_ctx", 3) == ["3.3.3.3", 3, 3, 2, 3, 2]
