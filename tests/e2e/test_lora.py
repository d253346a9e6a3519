"""LoRA adapters: converted from PEFT's folders, applied beside the weights, merged; held against transformers with PEFT."""

import concurrent.futures
import json

import gguf
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
import adapters  # noqa: E402
import checkpoints  # noqa: E402
import family_models  # noqa: E402
import tiny_models  # noqa: E402
from program import STORIES, complaint, quern  # noqa: E402
from serving import Server, error_of  # noqa: E402
from test_logits import TEXT, quern_logits, tokens_of  # noqa: E402

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WORST = 2e-4  # of the range of the logits


def make(name):
    return tiny_models.make(name) if name in tiny_models.MODELS else family_models.make(name)


def convert(folder, name="base"):
    """The folder's base as GGUF in f32."""
    quern("convert", folder / "hf", "--outfile", folder / f"{name}.gguf", "--outtype", "f32")
    return folder / f"{name}.gguf"


def convert_adapter(folder, name="adapter", base="hf", outtype="f32"):
    out = folder / f"{name}.gguf"
    quern("convert-lora", "--base", folder / base, "--outtype", outtype, "--outfile", out, folder / name)
    return out


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def distance(actual, expected):
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max() / (expected.max() - expected.min())


CASES = {
    "llama": ("llama", LINEAR, {}),
    "llama-gqa-tied": ("llama-gqa-tied", LINEAR, {}),
    "llama, everything": ("llama", [*LINEAR, "embed_tokens", "lm_head"], {}),
    "qwen2, rank-stabilized": ("qwen2", LINEAR, dict(use_rslora=True)),
    "qwen2, patterns": ("qwen2", LINEAR, dict(alpha_pattern={"down_proj": 3, "layers.1.self_attn.q_proj": 11}, rank_pattern={"up_proj": 2})),
    "gemma3": ("gemma3", LINEAR, {}),
    "phi3": ("phi3", ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"], {}),
    "gpt2": ("gpt2", ["c_attn", "c_proj", "c_fc"], {}),
    "qwen3moe": ("qwen3moe", ["q_proj", "k_proj", "v_proj", "o_proj"], {}),
    "deepseek-v3": ("deepseek-v3", ["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "o_proj"], {}),
}


@pytest.mark.parametrize("case", list(CASES))
def test_an_adapted_model_has_the_logits_of_peft_beside_the_weights_and_merged(case, tmp_path):
    name, targets, options = CASES[case]
    model = make(name)
    checkpoints.save(model, tmp_path / "hf")
    base = convert(tmp_path)
    ids = tokens_of(base, TEXT)
    plain = logits_of(model, ids)
    expected = logits_of(adapters.add(model, tmp_path / "adapter", targets, **options), ids)
    adapter = convert_adapter(tmp_path)
    size = (tmp_path, model.config.vocab_size, "-c", "256")
    assert distance(plain, expected) > 0.05  # the adapter matters
    for flags in [], ["-b", "7"], ["-b", "1"]:
        found = distance(quern_logits(base, TEXT, *size, "--lora", str(adapter), *flags), expected)
        print(f"{case} {flags}: {found:.1e}")
        assert found < WORST
    assert (quern_logits(base, TEXT, *size, "--lora", f"{adapter}=0") == quern_logits(base, TEXT, *size)).all()
    quern("merge-lora", base, adapter, tmp_path / "merged.gguf")
    assert distance(quern_logits(tmp_path / "merged.gguf", TEXT, *size), expected) < WORST


def test_several_adapters_and_scales_add_up(tmp_path):
    model = make("llama-gqa-tied")
    checkpoints.save(model, tmp_path / "hf")
    base = convert(tmp_path)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    sides = {}
    for side, scale, targets in ("a", 0.5, LINEAR), ("b", -1.5, ["q_proj", "down_proj"]):
        adapted = adapters.add(make("llama-gqa-tied"), tmp_path / side, targets, seed=ord(side))
        merged = adapted.merge_and_unload().state_dict()
        for name, value in weights.items():
            sides.setdefault(name, []).append(scale * (merged[name] - value))
        convert_adapter(tmp_path, side)
    model.load_state_dict({name: value + sum(sides[name]) for name, value in weights.items()})
    expected = logits_of(model, tokens_of(base, TEXT))
    size = (tmp_path, model.config.vocab_size, "-c", "256")
    a, b = str(tmp_path / "a.gguf"), str(tmp_path / "b.gguf")
    for flags in ["--lora", f"{a}=0.5", "--lora-scaled", b, "-1.5"], ["--lora-scaled", f"{b}:-1.5", "--lora-scaled", a, "0.5"]:
        assert distance(quern_logits(base, TEXT, *size, *flags), expected) < WORST
    quern("merge-lora", base, f"{a}=0.5", f"{b}=-1.5", tmp_path / "merged.gguf")
    assert distance(quern_logits(tmp_path / "merged.gguf", TEXT, *size), expected) < WORST


def test_adapters_of_experts_are_stacked(tmp_path):
    model = make("qwen3moe")
    checkpoints.save(model, tmp_path / "hf")
    base = convert(tmp_path)
    tensors, c = {}, model.config
    with torch.no_grad():
        for layer in range(c.num_hidden_layers):
            experts = model.model.layers[layer].mlp.experts
            for expert in range(c.num_experts):
                sizes = {"gate_proj": (c.moe_intermediate_size, c.hidden_size), "up_proj": (c.moe_intermediate_size, c.hidden_size),
                         "down_proj": (c.hidden_size, c.moe_intermediate_size)}
                for i, (kind, (n_out, n_in)) in enumerate(sizes.items()):
                    new = adapters.factors(f"model.layers.{layer}.mlp.experts.{expert}.{kind}", n_out, n_in, seed=100 * layer + 10 * expert + i)
                    a, b = new.values()
                    place = experts.down_proj[expert] if kind == "down_proj" else experts.gate_up_proj[expert].split(n_out)[kind == "up_proj"]
                    place += 6 / 4 * b @ a
                    tensors |= new
    adapters.write(tmp_path / "adapter", tensors)
    adapter = convert_adapter(tmp_path)
    text = "A lazy dog, a quick fox. " + TEXT
    expected = logits_of(model, tokens_of(base, text))
    size = (tmp_path, c.vocab_size, "-c", "256")
    for flags in [], ["-b", "1"]:
        assert distance(quern_logits(base, text, *size, "--lora", str(adapter), *flags), expected) < WORST
    quern("merge-lora", base, adapter, tmp_path / "merged.gguf")
    assert distance(quern_logits(tmp_path / "merged.gguf", text, *size), expected) < WORST
    del tensors[next(iter(name for name in tensors if ".experts.3.up_proj.lora_A" in name))]
    adapters.write(tmp_path / "adapter", {name: value for name, value in tensors.items() if ".experts.3.up_proj" not in name})
    assert "all or none" in complaint("convert-lora", "--base", tmp_path / "hf", "--outfile", tmp_path / "x.gguf", tmp_path / "adapter")


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A base with two adapters: base.gguf, a.gguf, b.gguf."""
    folder = tmp_path_factory.mktemp("llama")
    checkpoints.save(make("llama-gqa-tied"), folder / "hf")
    convert(folder)
    for side in "ab":
        adapters.add(make("llama-gqa-tied"), folder / side, LINEAR, seed=ord(side))
        convert_adapter(folder, side)
    return folder


def test_the_file_has_the_form_of_llama_cpp(llama):
    reader = gguf.GGUFReader(llama / "a.gguf")
    value = lambda key: reader.get_field(key).contents()
    assert (value("general.type"), value("adapter.type"), value("general.architecture")) == ("adapter", "lora", "llama")
    assert value("adapter.lora.alpha") == 6
    tensors = {t.name: list(map(int, t.shape)) for t in reader.tensors}
    assert len(tensors) == 2 * 7 * 3
    assert tensors["blk.1.ffn_down.weight.lora_a"] == [176, 4] and tensors["blk.1.ffn_down.weight.lora_b"] == [4, 64]


def test_a_gguf_base_and_sixteen_bits_do_as_well(llama):
    quern("convert-lora", "--base", llama / "base.gguf", "--outtype", "f32", "--outfile", llama / "again.gguf", llama / "a")
    tensors = lambda name: {t.name: t.data.tobytes() for t in gguf.GGUFReader(llama / name).tensors}
    assert tensors("again.gguf") == tensors("a.gguf")
    for outtype in "f16", "bf16":
        quern("convert-lora", "--base", llama / "hf", "--outtype", outtype, "--outfile", llama / "{ftype}.gguf", llama / "a")
        small = quern_logits(llama / "base.gguf", TEXT, llama, 259, "--lora", str(llama / f"{outtype}.gguf"))
        assert distance(small, quern_logits(llama / "base.gguf", TEXT, llama, 259, "--lora", str(llama / "a.gguf"))) < 0.02


def test_merging_keeps_types_or_changes_them(llama):
    quern("quantize", llama / "base.gguf", llama / "q8.gguf", "q8_0")
    quern("merge-lora", llama / "q8.gguf", llama / "a.gguf", llama / "m8.gguf")
    types = lambda name: {t.name: t.tensor_type.name for t in gguf.GGUFReader(llama / name).tensors}
    assert types("m8.gguf") == types("q8.gguf")
    quern("merge-lora", "--outtype", "q8_0", llama / "base.gguf", llama / "a.gguf", llama / "m32.gguf")
    assert types("m32.gguf") == types("q8.gguf")
    beside = quern_logits(llama / "q8.gguf", TEXT, llama, 259, "--lora", str(llama / "a.gguf"))
    for name in "m8.gguf", "m32.gguf":
        assert distance(quern_logits(llama / name, TEXT, llama, 259), beside) < 0.05


BODY = {"prompt": "The quick brown fox jumps over the lazy dog, and then it goes on and on until it comes to the river", "n_predict": 12, "temperature": 0}
SCALES = [[], [{"id": 0, "scale": 1}], [{"id": 1, "scale": 1}], [{"id": 0, "scale": 0.5}, {"id": 1, "scale": 2}]]


def complete(server, **more):
    answer = server.post("/completion", {**BODY, **more, "return_tokens": True})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_requests_choose_their_adapters_and_caches_stay_apart(llama):
    flags = ["-m", llama / "base.gguf", "-c", "256", "-ctk", "f32", "-ctv", "f32"]
    alone = []
    for lora in ["--lora", llama / "a.gguf"], ["--lora", llama / "b.gguf"], []:
        with Server(*flags, *lora) as server:
            alone.append(complete(server)["tokens"])
    with Server(*flags, "--lora", f"{llama / 'a.gguf'}=1", "--lora-scaled", llama / "b.gguf", "0", "--parallel", "8") as server:
        listed = server.get("/lora-adapters").json()
        assert [(each["id"], each["scale"]) for each in listed] == [(0, 1.0), (1, 0.0)] and listed[1]["path"].endswith("b.gguf")
        assert complete(server)["tokens"] == alone[0]
        one_by_one = [complete(server, lora=each)["tokens"] for each in SCALES]
        assert one_by_one[:3] == [alone[2], alone[0], alone[1]] and one_by_one[3] not in alone
        hit = complete(server, lora=SCALES[2])
        assert hit["tokens"] == alone[1] and hit["timings"]["cache_n"] >= 64
        with concurrent.futures.ThreadPoolExecutor(16) as pool:  # in one batch, the same bits
            wanted = [i % 4 for i in range(32)]
            found = list(pool.map(lambda i: complete(server, lora=SCALES[i], cache_prompt=i != 3)["tokens"], wanted))
        assert found == [one_by_one[i] for i in wanted]
        chat = server.post("/v1/completions", {"prompt": BODY["prompt"], "max_tokens": 12, "temperature": 0, "lora": SCALES[2]}).json()
        assert chat["choices"][0]["text"] == hit["content"]
        assert server.post("/lora-adapters", [{"id": 1, "scale": 1}]).json() == {"success": True}
        assert [each["scale"] for each in server.get("/lora-adapters").json()] == [0.0, 1.0]
        assert complete(server)["tokens"] == alone[1]


def test_config_entries_with_one_base_and_several_adapters(llama):
    entries = [{"model": str(llama / "base.gguf"), "model_alias": name, "n_ctx": 256, **more}
               for name, more in {"plain": {}, "a": {"lora_path": str(llama / "a.gguf"), "lora_base": str(llama / "base.gguf")},
                                  "half": {"lora": [str(llama / "a.gguf") + "=0.5"]}, "off": {"lora_path": str(llama / "a.gguf"), "lora_init_without_apply": True}}.items()]
    (llama / "config.json").write_text(json.dumps({"models": entries}))
    with Server("--config-file", llama / "config.json") as server:
        found = {e["model_alias"]: server.post("/completion", {**BODY, "model": e["model_alias"]}).json()["content"] for e in entries}
        assert found["plain"] == found["off"] and len(set(found.values())) == 3
        assert server.get("/lora-adapters?model=half").json()[0]["scale"] == 0.5


def test_two_entries_of_one_name_have_the_same_adapters(llama):
    entries = [{"model": str(llama / "base.gguf")}, {"model": str(llama / "base.gguf"), "lora_path": str(llama / "a.gguf")}]
    (llama / "twice.json").write_text(json.dumps({"models": entries}))
    assert "different adapters" in complaint("serve", "--port", "0", "--config-file", llama / "twice.json")


@pytest.mark.parametrize("lora, words", [
    ("x", "array"), ([3], "lora[0]"), ([{"scale": 1}], "id"), ([{"id": 2, "scale": 1}], "adapters 0 to 0"), ([{"id": -1, "scale": 1}], "lora[0].id"),
    ([{"id": 0}], "scale"), ([{"id": 0, "scale": "1"}], "scale"), ([{"id": 0, "scale": 1e9}], "1e6"), ([{"id": 0, "scale": 1}] * 2, "twice"),
])
def test_wrong_requests_are_refused(lora, words, adapter_server):
    answer = adapter_server.post("/completion", {**BODY, "lora": lora})
    assert answer.status_code == 400 and words in error_of(answer)["message"], answer.text
    answer = adapter_server.post("/lora-adapters", json.dumps(lora))
    assert answer.status_code == 400 and words.replace("lora[", "body[") in error_of(answer)["message"], answer.text
    assert [each["scale"] for each in adapter_server.get("/lora-adapters").json()] == [1.0]


@pytest.fixture(scope="module")
def adapter_server(llama):
    with Server("-m", llama / "base.gguf", "-c", "256", "--lora", llama / "a.gguf") as server:
        yield server


def test_a_model_without_adapters_says_so(stories_server):
    assert stories_server.get("/lora-adapters").json() == []
    assert stories_server.post("/completion", {"prompt": "x", "n_predict": 1, "lora": []}).status_code == 200
    answer = stories_server.post("/completion", {"prompt": "x", "n_predict": 1, "lora": [{"id": 0, "scale": 1}]})
    assert answer.status_code == 400 and "no adapters" in error_of(answer)["message"]


def test_perplexity_and_bad_scales(llama):
    text = llama / "text.txt"
    text.write_text(TEXT * 8, encoding="utf-8")
    plain, adapted = (json.loads(quern("perplexity", "-m", llama / "base.gguf", "-f", text, "-c", "64", "--json", *flags).stdout)
                      for flags in ([], ["--lora", llama / "a.gguf"]))
    assert plain != adapted
    assert "scale" in complaint("run", "-m", llama / "base.gguf", "-p", "x", "--lora", f"{llama / 'a.gguf'}=1e9")
    assert "nowhere.gguf" in complaint("run", "-m", llama / "base.gguf", "-p", "x", "--lora", "nowhere.gguf")


def rewrite(source, out, keys=None, tensors=None, architecture="llama"):
    """An adapter file with changes. @param tensors  called with a dict of arrays"""
    w = gguf.GGUFWriter(out, architecture)
    for key, value in {"general.type": "adapter", "adapter.type": "lora", **(keys or {})}.items():
        if value is not None:
            w.add_string(key, value)
    w.add_float32("adapter.lora.alpha", 6.0)
    data = {t.name: np.array(t.data).reshape(tuple(reversed(t.shape))) for t in gguf.GGUFReader(source).tensors}
    if tensors:
        tensors(data)
    for name, value in data.items():
        w.add_tensor(name, np.ascontiguousarray(value))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return out


Q = "blk.1.attn_q.weight.lora_"


def spoil(name, value):
    def change(data):
        data[name].reshape(-1)[5] = value
    return change


@pytest.mark.parametrize("what, words", {
    "no adapter": (dict(keys={"general.type": "model"}), "no adapter"),
    "no type": (dict(keys={"general.type": None}), "no adapter"),
    "vector": (dict(keys={"adapter.type": "control_vector"}), "control_vector"),
    "architecture": (dict(architecture="qwen2"), "qwen2"),
    "half a pair": (dict(tensors=lambda data: data.pop(Q + "b")), Q + "a"),
    "another name": (dict(tensors=lambda data: data.update(stray=np.zeros((2, 2), np.float32))), "stray"),
    "unknown weight": (dict(tensors=lambda data: data.update({"blk.9.attn_q.weight.lora_" + s: data[Q + s] for s in "ab"})), "blk.9.attn_q"),
    "wrong inputs": (dict(tensors=lambda data: data.update({Q + "a": data[Q + "a"][:, :32]})), "do not fit"),
    "wrong outputs": (dict(tensors=lambda data: data.update({Q + "b": data[Q + "b"][:32]})), "do not fit"),
    "wrong rank": (dict(tensors=lambda data: data.update({Q + "b": data[Q + "b"][:, :2]})), "do not fit"),
    "huge rank": (dict(tensors=lambda data: data.update({Q + "a": np.ones((20000, 64), np.float32), Q + "b": np.ones((64, 20000), np.float32)})), "rank 20000"),
    "of a norm": (dict(tensors=lambda data: data.update({"output_norm.weight.lora_" + s: data[Q + s] for s in "ab"})), "output_norm"),
    "not a number": (dict(tensors=spoil(Q + "a", np.nan)), "not finite"),
    "infinite": (dict(tensors=spoil(Q + "b", np.inf)), "not finite"),
    "nothing": (dict(tensors=lambda data: data.clear()), "no tensors"),
}.items(), ids=lambda each: each if isinstance(each, str) else "")
def test_adapters_that_do_not_fit_are_one_line(what, words, llama, tmp_path):
    changes, words = words
    bad = rewrite(llama / "a.gguf", tmp_path / "bad.gguf", **changes)
    for command in ["run", "-m", llama / "base.gguf", "-p", "x", "--lora", bad], ["merge-lora", llama / "base.gguf", bad, tmp_path / "out.gguf"]:
        message = complaint(*command)
        assert words in message and "bad.gguf" in message
    assert not (tmp_path / "out.gguf").exists()


def test_a_truncated_adapter_and_a_model_as_adapter(llama, tmp_path):
    whole = (llama / "a.gguf").read_bytes()
    for size in 3, 20, 200, len(whole) // 2, len(whole) - 1:
        (tmp_path / "cut.gguf").write_bytes(whole[:size])
        complaint("run", "-m", llama / "base.gguf", "-p", "x", "--lora", tmp_path / "cut.gguf")
    assert "no adapter" in complaint("run", "-m", llama / "base.gguf", "-p", "x", "--lora", STORIES)
    assert complaint("run", "-m", llama / "a.gguf", "-p", "x")


MODULE = "model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize("tensors, config, words", [
    (adapters.factors(MODULE, 64, 64), dict(peft_type="LOHA"), "LOHA"),
    (adapters.factors(MODULE, 64, 64), dict(use_dora=True), "use_dora"),
    (adapters.factors(MODULE, 64, 64), dict(modules_to_save=["lm_head"]), "modules_to_save"),
    (adapters.factors(MODULE, 64, 64), dict(bias="all"), "bias"),
    (adapters.factors(MODULE, 64, 64), dict(init_lora_weights="pissa_niter_4"), "pissa"),
    (adapters.factors(MODULE, 64, 64), dict(alpha_pattern={"q_(proj": 3}), "q_(proj"),
    (adapters.factors(MODULE, 64, 64), dict(alpha_pattern=[3]), "alpha_pattern"),
    (adapters.factors(MODULE, 64, 64), dict(lora_alpha=0), "lora_alpha"),
    (adapters.factors(MODULE, 64, 64), dict(lora_alpha="x"), "lora_alpha"),
    (adapters.factors(MODULE, 32, 64), {}, "do not fit"),
    (adapters.factors("model.layers.7.self_attn.q_proj", 64, 64), {}, "layers.7"),
    (adapters.factors("model.norm", 64, 64), {}, "model.norm"),
    (dict(list(adapters.factors(MODULE, 64, 64).items())[:1]), {}, "only one"),
    ({**adapters.factors(MODULE, 64, 64), "base_model.model.lm_head.weight": torch.zeros(2, 2)}, {}, "lm_head.weight"),
    ({}, {}, "no factors"),
    ({name: value.long() for name, value in adapters.factors(MODULE, 64, 64).items()}, {}, "I64"),
    ({name: value * float("nan") for name, value in adapters.factors(MODULE, 64, 64).items()}, {}, "not finite"),
])
def test_folders_that_cannot_be_converted_are_one_line(tensors, config, words, llama, tmp_path):
    adapters.write(tmp_path / "adapter", tensors, **config)
    assert words in complaint("convert-lora", "--base", llama / "hf", "--outfile", tmp_path / "out.gguf", tmp_path / "adapter", printed=True)
    assert not (tmp_path / "out.gguf").exists()


def test_what_is_missing_is_said(llama, tmp_path):
    assert "adapter_config.json" in complaint("convert-lora", tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "adapter_model.safetensors" in complaint("convert-lora", tmp_path)
    adapters.write(tmp_path, adapters.factors(MODULE, 64, 64), base_model_name_or_path="someone/model")
    assert "--base" in complaint("convert-lora", tmp_path)
    (tmp_path / "hf").mkdir()
    config = json.loads((llama / "hf" / "config.json").read_text())
    (tmp_path / "hf" / "config.json").write_text(json.dumps({**config, "vocab_size": 1 << 62}))
    assert "vocab_size" in complaint("convert-lora", "--base", tmp_path / "hf", tmp_path)
    assert "q7" in complaint("convert-lora", "--base", llama / "hf", "--outtype", "q7", tmp_path)
    adapters.write(tmp_path, adapters.factors(MODULE, 64, 64), base_model_name_or_path=str(llama / "hf"))
    assert "adapter_config.json" not in quern("convert-lora", "--dry-run", tmp_path).stdout
    assert list(tmp_path.glob("*.gguf")) == []
    assert "at least one adapter" in complaint("merge-lora", llama / "base.gguf", tmp_path / "out.gguf")
