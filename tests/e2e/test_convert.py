"""From Hugging Face folders to GGUF: logits against transformers, and everything that can be wrong with a folder."""

import json
import os
import random
import subprocess

import gguf
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
import checkpoints  # noqa: E402
import family_models  # noqa: E402
import tiny_models  # noqa: E402
from program import complaint, quern  # noqa: E402
from test_tokenizers import random_text, run  # noqa: E402
from test_logits import TEXT, quern_logits, tokens_of  # noqa: E402

PEER = os.environ.get("QUERN_PEER")


def convert(folder, out, *flags):
    return quern("convert", folder, "--outfile", out, *flags)


def check_logits(model, path, tmp_path, *flags, text=TEXT):
    ids = tokens_of(path, text)
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    actual = quern_logits(path, text, tmp_path, model.config.vocab_size, *flags)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() < 2e-4 * (expected.max() - expected.min())


def check_greedy(model, ids, found, n_others=0):
    """Every token but n_others is the best one in transformers, or as good as that: llama.cpp keeps its cache in 16 bits."""
    assert len(found) > 4
    with torch.no_grad():
        logits = model(torch.tensor([[*ids, *found]])).logits[0, len(ids) - 1:-1]
    chosen = logits.gather(1, torch.tensor(found)[:, None])[:, 0]
    gaps = (logits.max(dim=1).values - chosen) / (logits.max() - logits.min())
    assert (gaps > 2e-3).sum() <= n_others, gaps


@pytest.mark.parametrize("name", list(tiny_models.MODELS))
def test_a_converted_model_has_the_logits_of_transformers(name, tmp_path):
    model = tiny_models.make(name)
    checkpoints.save(model, tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "out.gguf", "--outtype", "f32")
    check_logits(model, tmp_path / "out.gguf", tmp_path)


@pytest.mark.parametrize("name", [name for name in family_models.MODELS if name != "qwen"])  # transformers has no class for that
def test_a_converted_family_has_the_logits_of_transformers(name, tmp_path):
    model = family_models.make(name)
    checkpoints.save(model, tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "out.gguf", "--outtype", "f32")
    # Phi 3 chooses its rotary factors by the window. No token of this text lies between two experts by less than rounding.
    check_logits(model, tmp_path / "out.gguf", tmp_path, "-c", "256", text="A lazy dog, a quick fox. " + TEXT * 2)


@pytest.mark.skipif(not PEER, reason="QUERN_PEER names no llama.cpp driver")
@pytest.mark.parametrize("name", list(tiny_models.MODELS))
def test_a_converted_model_says_the_same_in_llama_cpp(name, tmp_path):
    model = tiny_models.make(name)
    checkpoints.save(model, tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "out.gguf", "--outtype", "f32")
    out = subprocess.run([PEER, "greedy", tmp_path / "out.gguf", "-t", "2", "-n", "32", "-x", "The quick brown"], capture_output=True, text=True, check=True, errors="replace")
    ids = tokens_of(tmp_path / "out.gguf", "The quick brown")
    found = [int(word) for word in out.stdout.rstrip().splitlines()[-1].split()]
    check_greedy(model, ids, found)


@pytest.mark.parametrize("how", ["parts", "torch"])
def test_other_ways_of_saving_give_the_same_file(how, tmp_path):
    model = tiny_models.make("llama-gqa-tied")
    checkpoints.save(model, tmp_path / "a" / "hf")
    options = dict(max_shard_size="100KB") if how == "parts" else dict(torch_file=True)
    checkpoints.save(model, tmp_path / "b" / "hf", **options)
    if how == "parts":
        assert len(list((tmp_path / "b" / "hf").glob("*.safetensors"))) > 2
    for side in "ab":
        convert(tmp_path / side / "hf", tmp_path / f"{side}.gguf", "--outtype", "f32")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_auto_keeps_sixteen_bits_as_they_are(dtype, tmp_path):
    model = tiny_models.make("qwen2").to(dtype)
    checkpoints.save(model, tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "out.gguf")
    tensors = {t.name: t for t in gguf.GGUFReader(tmp_path / "out.gguf").tensors}
    found = tensors["blk.1.ffn_up.weight"]
    assert found.tensor_type.name == ("F16" if dtype == torch.float16 else "BF16")
    assert tensors["blk.1.attn_q.bias"].tensor_type.name == "F32"
    expected = model.model.layers[1].mlp.up_proj.weight.detach().to(dtype if dtype != torch.float32 else torch.bfloat16).float().numpy()
    assert (gguf.quants.dequantize(found.data, found.tensor_type) == expected).all()


def test_straight_to_a_quantized_type_is_the_same_as_in_two_steps(tmp_path):
    model = tiny_models.make("llama").to(torch.bfloat16)
    checkpoints.save(model, tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "{ftype}.gguf", "--outtype", "q4_0", "-t", "2")
    convert(tmp_path / "hf", tmp_path / "f32.gguf", "--outtype", "f32")
    quern("quantize", tmp_path / "f32.gguf", tmp_path / "two.gguf", "q4_0")
    assert quern("verify", tmp_path / "q4_0.gguf", "--against", tmp_path / "two.gguf").returncode == 0


def test_parts_can_be_merged_again(tmp_path):
    checkpoints.save(tiny_models.make("llama"), tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "whole.gguf", "--outtype", "f16")
    convert(tmp_path / "hf", tmp_path / "part.gguf", "--outtype", "f16", "--split-max-tensors", "7")
    parts = sorted(tmp_path.glob("part-*"))
    assert parts[0].name == "part-00001-of-00005.gguf" and len(parts) == 5
    quern("merge", parts[0], tmp_path / "merged.gguf")
    assert (tmp_path / "merged.gguf").read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def keys(path):
    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items() if not name.startswith("GGUF.")}


def test_keys_say_what_the_folder_says(tmp_path):
    model = tiny_models.make("llama-llama3")
    model.generation_config.eos_token_id = [1, 2]
    checkpoints.save(model, tmp_path / "hf")
    (tmp_path / "hf" / "chat_template.jinja").write_text("{{ messages[0].content }}")
    (tmp_path / "hf" / "README.md").write_text("---\nlicense: apache-2.0\ntags:\n- tiny\n- test\nlanguage: [en]\n---\n# Title\nlicense: no\n")
    (tmp_path / "more.json").write_text(json.dumps({"author": "Somebody", "general.tags": ["a"]}))
    convert(tmp_path / "hf", tmp_path / "out.gguf", "--model-name", "Tiny", "--metadata", tmp_path / "more.json", "--ctx", "128")
    found = keys(tmp_path / "out.gguf")
    expected = {
        "general.architecture": "llama", "general.name": "Tiny", "general.license": "apache-2.0", "general.author": "Somebody", "general.tags": ["a"],
        "general.type": "model", "general.size_label": "172K", "general.file_type": 32, "llama.context_length": 128, "llama.block_count": 3, "llama.embedding_length": 64,
        "llama.feed_forward_length": 176, "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2, "llama.vocab_size": 259,
        "llama.rope.dimension_count": 16, "llama.rope.freq_base": 10000.0, "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.eos_token_ids": [2, 1], "tokenizer.chat_template": "{{ messages[0].content }}",
    }
    for name, value in expected.items():
        assert found.get(name) == value, name


def test_padding_is_unused_and_hides_no_real_token(tmp_path):
    model = tiny_models.make("qwen2")
    model.resize_token_embeddings(270)
    checkpoints.save(model, tmp_path / "hf")
    config = {"eos_token": "<|im_end|>", "added_tokens_decoder": {"262": {"content": "<|im_end|>", "special": True}}}
    (tmp_path / "hf" / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "hf" / "added_tokens.json").write_text(json.dumps({"<|im_start|>": 261, "<tool>": 263}))
    convert(tmp_path / "hf", tmp_path / "out.gguf")
    found = keys(tmp_path / "out.gguf")
    assert found["tokenizer.ggml.tokens"][258:266] == [found["tokenizer.ggml.tokens"][258], "[PAD259]", "[PAD260]", "<|im_start|>", "<|im_end|>", "<tool>", "[PAD264]", "[PAD265]"]
    assert found["tokenizer.ggml.token_type"][259:266] == [5, 5, 3, 3, 4, 5, 5]
    assert len(found["tokenizer.ggml.tokens"]) == 270
    assert found["tokenizer.ggml.eos_token_id"] == 262


def test_the_names_of_the_scripts_work(tmp_path):
    checkpoints.save(tiny_models.make("llama"), tmp_path / "hf")
    quern("convert.py", tmp_path / "hf", "--outtype", "f32", "--vocab-type", "bpe", "--padvocab", "--ctx", "64", "--concurrency", "2")
    quern("convert-hf-to-gguf.py", tmp_path / "hf")
    assert sorted(p.name for p in (tmp_path / "hf").glob("*.gguf")) == ["ggml-model-f16.gguf", "ggml-model-f32.gguf"]
    quern("convert", tmp_path / "hf", "--outtype", "q8_0")
    assert (tmp_path / "hf" / "hf-Q8_0.gguf").exists()
    quern("convert", tmp_path / "hf", "--vocab-only", "--outfile", tmp_path / "vocab.gguf")
    assert not gguf.GGUFReader(tmp_path / "vocab.gguf").tensors
    assert tokens_of(tmp_path / "vocab.gguf", "abc")


def test_a_dry_run_writes_nothing(tmp_path):
    checkpoints.save(tiny_models.make("llama"), tmp_path / "hf")
    before = sorted(tmp_path.rglob("*"))
    done = quern("convert", "--dry-run", tmp_path / "hf", "--outtype", "q4_k_m")
    assert "blk.0.attn_q.weight" in done.stdout and "Q5_0" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


TOKENIZERS = {
    "gpt2": lambda: checkpoints.byte_level(),
    "llama3": lambda: checkpoints.byte_level(checkpoints.LLAMA3, ignore_merges=True, bos=True),
    "llama3-merges": lambda: checkpoints.byte_level(checkpoints.LLAMA3),
    "qwen2": lambda: checkpoints.byte_level(checkpoints.QWEN2, nfc=True),
    "unknown": lambda: checkpoints.byte_level(checkpoints.UNKNOWN),
    "unknown-whole-words": lambda: checkpoints.byte_level(checkpoints.UNKNOWN, ignore_merges=True, bos=True),
    "sentencepiece": lambda: checkpoints.sentencepiece_style(),
    "metaspace": lambda: checkpoints.sentencepiece_style(metaspace=True),
    "wordpiece": lambda: checkpoints.wordpiece(),
}
PRE = {"gpt2": "gpt-2", "llama3": "llama-bpe", "llama3-merges": "dbrx", "qwen2": "qwen2", "unknown": "default", "unknown-whole-words": "default"}


def vocabulary_of(folder, out, *flags):
    """A folder with the tokenizer alone, and a config that asks for a Llama of any size."""
    config = dict(architectures=["LlamaForCausalLM"], num_hidden_layers=1, max_position_embeddings=64, hidden_size=32, intermediate_size=32, num_attention_heads=1)
    (folder / "config.json").write_text(json.dumps(config))
    convert(folder, out, "--vocab-only", *flags)
    return keys(out)


def check_ids(tokenizer, path, n=3000, seed=1, specials=()):
    rng = random.Random(seed)
    texts = [random_text(rng) for _ in range(n)] + checkpoints.TEXT + [rng.choice(specials).join(["ab ", " cd", "e"]) for _ in range(20) if specials]
    expected = [tokenizer.encode(text, add_special_tokens=True).ids for text in texts]
    actual = run(["-m", str(path)], texts)
    wrong = [(text, e, a) for text, e, a in zip(texts, expected, actual, strict=True) if e != a]
    assert not wrong, (len(wrong), wrong[0])


@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_a_converted_tokenizer_gives_the_ids_of_the_original(name, tmp_path):
    tokenizer = TOKENIZERS[name]()
    checkpoints.save_tokenizer(tokenizer, tmp_path)
    found = vocabulary_of(tmp_path, tmp_path / "out.gguf")
    if name in PRE:
        assert found["tokenizer.ggml.pre"] == PRE[name]
        assert ("tokenizer.quern.pre_patterns" in found) == (PRE[name] == "default")
    check_ids(tokenizer, tmp_path / "out.gguf", specials=["<|end|>"] if name in PRE else ())


@pytest.mark.parametrize("options", [dict(), dict(add_dummy_prefix=False, remove_extra_whitespaces=False)])
def test_a_sentencepiece_model_gives_its_own_ids(options, tmp_path):
    import sentencepiece

    (tmp_path / "text").write_text("\n".join(checkpoints.TEXT), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"), model_prefix=str(tmp_path / "tokenizer"), model_type="bpe", vocab_size=500, byte_fallback=True, character_coverage=0.98,
        normalization_rule_name="identity", minloglevel=2, hard_vocab_limit=False, **{"remove_extra_whitespaces": False, **options})
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<|user|>": 600}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"add_bos_token": False, "additional_special_tokens": ["<|user|>"]}))
    found = vocabulary_of(tmp_path, tmp_path / "out.gguf")
    assert found["tokenizer.ggml.model"] == "llama" and found["tokenizer.ggml.tokens"][600] == "<|user|>" and found["tokenizer.ggml.token_type"][600] == 3
    original = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    rng = random.Random(5)
    texts = [random_text(rng) for _ in range(3000)] + checkpoints.TEXT
    texts = [text for text in texts if "\0" not in text]
    actual = run(["-m", str(tmp_path / "out.gguf")], texts)
    wrong = [(text, original.encode(text), ids) for text, ids in zip(texts, actual, strict=True) if ids != original.encode(text)]
    assert not wrong, (len(wrong), wrong[0])


def test_older_files_of_byte_level_bpe_give_the_same_ids(tmp_path):
    """vocab.json with merges.txt, and tiktoken's ranks, hold what tokenizer.json does."""
    import base64

    tokenizer = checkpoints.byte_level(checkpoints.QWEN2)
    data = json.loads(tokenizer.to_str())["model"]
    specials = {"<|begin|>", "<|end|>"}
    two, ranks = tmp_path / "two", tmp_path / "ranks"
    for folder in (two, ranks):
        folder.mkdir()
        (folder / "added_tokens.json").write_text(json.dumps({t: data["vocab"][t] for t in specials}))
    (two / "vocab.json").write_text(json.dumps(data["vocab"]))
    (two / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(m) for m in data["merges"]), encoding="utf-8")
    alphabet = {c: b for b, c in enumerate_bytes()}
    lines = [f"{base64.b64encode(bytes(alphabet[c] for c in piece)).decode()} {id}" for piece, id in data["vocab"].items() if piece not in specials]
    (ranks / "qwen.tiktoken").write_text("\n".join(lines))
    found = vocabulary_of(two, two / "out.gguf")  # these files say nothing of the pattern: GPT-2's
    assert found["tokenizer.ggml.pre"] == "gpt-2" and found["tokenizer.ggml.merges"] == [" ".join(m) for m in data["merges"]]
    found = vocabulary_of(ranks, ranks / "out.gguf")
    assert found["tokenizer.ggml.pre"] == "qwen2" and found["tokenizer.ggml.token_type"][data["vocab"]["<|end|>"]] == 3
    check_ids(tokenizer, ranks / "out.gguf", specials=["<|end|>"])


def enumerate_bytes():
    """Each byte and GPT-2's printable character for it."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return [(b, chr(b)) for b in printable] + [(b, chr(0x100 + i)) for i, b in enumerate(others)]


def mxfp4_checkpoint(folder):
    """A tiny gpt-oss whose experts are stored as OpenAI published them, and the same model with the values that they stand for."""
    from safetensors.torch import load_file, save_file
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    model = family_models.make("gpt-oss")
    checkpoints.save(model, folder)
    state, random_bytes = load_file(folder / "model.safetensors"), np.random.default_rng(3)
    packed = {}
    for name, experts in list(model.named_parameters()):
        if not name.endswith(("gate_up_proj", "down_proj")) or "experts" not in name:
            continue
        n, n_in, n_out = experts.shape
        blocks = torch.from_numpy(random_bytes.integers(0, 256, (n, n_out, n_in // 32, 16), dtype=np.uint8))
        scales = torch.from_numpy(random_bytes.integers(120, 126, (n, n_out, n_in // 32), dtype=np.uint8))
        experts.data = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
        del state[name]
        packed |= {name + "_blocks": blocks, name + "_scales": scales}
    save_file({**{name: value.bfloat16() for name, value in state.items()}, **packed}, folder / "model.safetensors", metadata={"format": "pt"})
    model.load_state_dict({name: value.bfloat16().float() for name, value in state.items()}, strict=False)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
    (folder / "config.json").write_text(json.dumps(config))
    return model, packed


def test_experts_of_four_bits_stay_what_they_are(tmp_path):
    model, packed = mxfp4_checkpoint(tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "f32.gguf", "--outtype", "f32")
    check_logits(model, tmp_path / "f32.gguf", tmp_path)
    for flags in ([], ["--outtype", "q8_0"]):
        convert(tmp_path / "hf", tmp_path / "out.gguf", *flags)
        tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "out.gguf").tensors}
        for layer in range(model.config.num_hidden_layers):
            for source, first, step, name in [("gate_up_proj", 0, 2, "gate"), ("gate_up_proj", 1, 2, "up"), ("down_proj", 0, 1, "down")]:
                key = f"model.layers.{layer}.mlp.experts.{source}"
                blocks, scales = packed[key + "_blocks"].numpy()[:, first::step], packed[key + "_scales"].numpy()[:, first::step]
                values = np.stack([blocks & 15, blocks >> 4], axis=-1).reshape(*blocks.shape[:3], 32)
                expected = np.concatenate([scales[..., None], values[..., :16] | values[..., 16:] << 4], axis=-1)
                found = tensors[f"blk.{layer}.ffn_{name}_exps.weight"]
                assert found.tensor_type == gguf.GGMLQuantizationType.MXFP4
                assert found.data.tobytes() == expected.tobytes()
    convert(tmp_path / "hf", tmp_path / "out.gguf")
    ids = tokens_of(tmp_path / "out.gguf", TEXT)
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    actual = quern_logits(tmp_path / "out.gguf", TEXT, tmp_path, model.config.vocab_size)
    assert np.abs(actual - expected).mean() < 3e-3 * (expected.max() - expected.min())


@pytest.mark.skipif(not PEER, reason="QUERN_PEER names no llama.cpp")
def test_experts_of_four_bits_say_the_same_in_llama_cpp(tmp_path):
    model, _ = mxfp4_checkpoint(tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "out.gguf")
    out = subprocess.run([PEER, "greedy", tmp_path / "out.gguf", "-t", "2", "-n", "32", "-x", "The quick brown"], capture_output=True, text=True, check=True, errors="replace")
    ids = tokens_of(tmp_path / "out.gguf", "The quick brown")
    found = [int(word) for word in out.stdout.rstrip().splitlines()[-1].split()]
    # llama.cpp multiplies such blocks with activations of 8 bits: where two experts are nearly tied, it takes the other one.
    check_greedy(model, ids, found, n_others=2)


@pytest.mark.parametrize("broken", ["no scales", "short scales", "floats", "odd"])
def test_experts_of_four_bits_that_do_not_fit_are_refused(broken, tmp_path):
    from safetensors.torch import load_file, save_file

    mxfp4_checkpoint(tmp_path / "hf")
    state = load_file(tmp_path / "hf" / "model.safetensors")
    name = "model.layers.1.mlp.experts.down_proj"
    if broken == "no scales":
        del state[name + "_scales"]
    elif broken == "short scales":
        state[name + "_scales"] = state[name + "_scales"][:, :-1].contiguous()
    elif broken == "floats":
        state[name + "_blocks"] = state[name + "_blocks"].float()
    else:
        state[name + "_blocks"] = state[name + "_blocks"][..., :15].contiguous()
    save_file(state, tmp_path / "hf" / "model.safetensors", metadata={"format": "pt"})
    said = complaint("convert", tmp_path / "hf", "--outfile", tmp_path / "out.gguf")
    assert "model.layers.1.mlp.experts.down_proj" in said
    assert not (tmp_path / "out.gguf").exists()
