"""Folders that are broken or mean harm: one line that names file and tensor, and nothing written."""

import json
import os
import pickle
import struct
import zipfile

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
import checkpoints  # noqa: E402
import family_models  # noqa: E402
import tiny_models  # noqa: E402
from program import complaint, quern  # noqa: E402


@pytest.fixture
def folder(tmp_path):
    checkpoints.save(tiny_models.make("llama"), tmp_path / "hf")
    return tmp_path / "hf"


def refusal(folder, *flags):
    """The complaint; the output must not exist afterwards, nor any part of it."""
    before = sorted(folder.parent.rglob("*"))
    line = complaint("convert", folder, "--outtype", "f32", "--outfile", folder.parent / "out.gguf", *flags)
    assert sorted(folder.parent.rglob("*")) == before
    return line


def change_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    config.update(changes)
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def change_header(folder, change):
    data = (folder / "model.safetensors").read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    change(header)
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data[8 + n:])


def test_folders_that_are_none(folder, tmp_path):
    assert "no folder" in complaint("convert", tmp_path / "none")
    assert "no folder" in complaint("convert", folder / "config.json")
    assert "which folder" in complaint("convert")
    (tmp_path / "empty").mkdir()
    assert "holds no config.json" in complaint("convert", tmp_path / "empty")
    (folder / "model.safetensors").unlink()
    assert "holds no weights" in refusal(folder)


def test_an_unknown_architecture_says_what_is_known_and_what_was_seen(folder):
    change_config(folder, architectures=["MysteryForCausalLM"])
    line = refusal(folder)
    assert "MysteryForCausalLM" in line and "LlamaForCausalLM" in line and "hidden_size" in line
    change_config(folder, architectures=None)
    assert "no entry `architectures`" in refusal(folder)


@pytest.mark.parametrize("change, expected", [
    (dict(hidden_size=None), "config.json: hidden_size is missing"),
    (dict(hidden_size="64"), "hidden_size is no whole number"),
    (dict(num_hidden_layers=-1), "num_hidden_layers is -1"),
    (dict(num_hidden_layers=10**9), "block_count"),
    (dict(num_hidden_layers=10**30), "whole number"),
    (dict(num_hidden_layers=4), "tensor model.layers.3.input_layernorm.weight is missing"),
    (dict(num_hidden_layers=2), '"model.layers.2.'),
    (dict(num_attention_heads=0), "head_count"),
    (dict(intermediate_size=128), "tensor model.layers.0.mlp.gate_proj.weight is [176, 64], but config.json asks for [128, 64]"),
    (dict(rope_parameters={"rope_type": "mystery", "rope_theta": 1.0}), '"mystery"'),
    (dict(quantization_config={"quant_method": "gptq"}), '"gptq"'),
])
def test_a_config_that_does_not_suit_the_weights(change, expected, folder):
    change_config(folder, **change)
    assert expected in refusal(folder)


@pytest.mark.parametrize("family, changes, expected", [
    ("qwen3", dict(hidden_act="relu"), 'hidden_act is "relu"; of qwen3 quern knows silu'),
    ("gemma2", dict(hidden_activation="silu"), 'hidden_act is "silu"'),
    ("qwen3", dict(use_sliding_window=True, sliding_window=8, max_window_layers=1), "use_sliding_window is true"),
    ("gemma3", dict(layer_types=["full_attention"] + ["sliding_attention"] * 6), 'layer_types: layer 0 is "full_attention"'),
    ("gpt2", dict(scale_attn_weights=False), "scale_attn_weights is false"),
    ("gpt2", dict(scale_attn_by_inverse_layer_idx=True), "scale_attn_by_inverse_layer_idx is true"),
    ("smollm3", dict(no_rope_layers=[1, 1, 1, 1, 1]), "no_rope_layers: quern knows models where each fourth layer has no RoPE, and layer 3 differs"),
])
def test_a_config_that_the_family_computes_otherwise(family, changes, expected, tmp_path):
    """Converted all the same, it would be another model without a word."""
    _, kind, config = family_models.MODELS[family]
    checkpoints.save(kind(config()), tmp_path / "hf")
    change_config(tmp_path / "hf", **changes)
    assert expected in refusal(tmp_path / "hf")


def test_weights_that_lie_or_are_cut_off(folder):
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for data, expected in [(b"", "empty"), (whole[:4], "model.safetensors"), (whole[:100], "claims"), (whole[:-10], "claims bytes"),
                           (struct.pack("<Q", 2**63) + whole[8:], "header claims"), (b"GGUF" + whole, "header claims")]:
        weights.write_bytes(data)
        line = refusal(folder)
        assert expected in line and "model.safetensors" in line
    weights.write_bytes(whole)
    change_header(folder, lambda h: h["model.norm.weight"].update(dtype="F8_E4M3", shape=[256]))
    assert "tensor model.norm.weight is F8_E4M3" in refusal(folder)
    weights.write_bytes(whole)
    change_header(folder, lambda h: h.pop("model.norm.weight"))
    assert "tensor model.norm.weight is missing" in refusal(folder)
    weights.write_bytes(whole)
    change_header(folder, lambda h: h.update(extra=h["model.norm.weight"]))
    assert "overlaps" in refusal(folder)
    weights.write_bytes(whole)
    change_header(folder, lambda h: h.update(extra=dict(dtype="F32", shape=[0], data_offsets=[0, 0])))
    assert '"extra" has no place' in refusal(folder)
    quern("convert", folder, "--skip-unknown", "--dry-run")


def test_values_that_are_not_finite(tmp_path):
    model = tiny_models.make("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 5] = float("nan")
    checkpoints.save(model, tmp_path / "hf")
    assert "blk.1.ffn_up.weight holds a value that is not finite, in row 3, column 5" in complaint(
        "convert", tmp_path / "hf", "--outtype", "f32", "--outfile", tmp_path / "out.gguf", printed=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hf"]


@pytest.mark.parametrize("kind,value", [("f16", 65520.0), ("f16", -1e30), ("q8_0", 1e9), ("bf16", 3.4e38)])
def test_values_that_the_type_cannot_hold(kind, value, tmp_path):
    model = tiny_models.make("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 5] = value
    checkpoints.save(model, tmp_path / "hf")
    line = complaint("convert", tmp_path / "hf", "--outtype", kind, "--outfile", tmp_path / "out.gguf", printed=True)
    assert f"blk.1.ffn_up.weight holds a value that {kind.upper()} cannot hold, in row 3, column" in line
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hf"]
    quern("convert", tmp_path / "hf", "--outtype", "f32", "--outfile", tmp_path / "out.gguf")


def test_the_largest_value_of_f16_is_kept(tmp_path):
    import gguf

    model = tiny_models.make("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 5] = 65519.0
    checkpoints.save(model, tmp_path / "hf")
    quern("convert", tmp_path / "hf", "--outtype", "f16", "--outfile", tmp_path / "out.gguf")
    tensor = next(t for t in gguf.GGUFReader(tmp_path / "out.gguf").tensors if t.name == "blk.1.ffn_up.weight")
    assert float(tensor.data[3, 5]) == 65504.0


def test_a_tensor_that_is_twice_or_not_where_the_index_says(tmp_path):
    checkpoints.save(tiny_models.make("llama"), tmp_path / "hf", max_shard_size="100KB")
    parts = sorted((tmp_path / "hf").glob("model-*.safetensors"))
    index = tmp_path / "hf" / "model.safetensors.index.json"
    whole = json.loads(index.read_text())
    index.write_text(json.dumps(whole | {"weight_map": whole["weight_map"] | {"model.extra.weight": parts[0].name}}))
    line = refusal(tmp_path / "hf")
    assert parts[0].name in line and 'lacks tensor "model.extra.weight"' in line
    second = parts[0].with_name("model-again.safetensors")
    second.write_bytes(parts[0].read_bytes())
    index.unlink()
    assert "is in another file, too" in refusal(tmp_path / "hf")


def test_parts_that_are_missing(tmp_path):
    checkpoints.save(tiny_models.make("llama"), tmp_path / "hf", max_shard_size="100KB")
    parts = sorted((tmp_path / "hf").glob("model-*.safetensors"))
    parts[1].rename(tmp_path / "away")
    line = refusal(tmp_path / "hf")
    assert parts[1].name in line and "is missing" in line
    index = tmp_path / "hf" / "model.safetensors.index.json"
    for text, expected in [('{"weight_map": {"a": "../../etc/passwd"}}', "no file of this folder"), ('{"weight_map": 3}', "weight_map"), ("[" * 100000, "too deeply")]:
        index.write_text(text)
        assert expected in refusal(tmp_path / "hf")


class Harmful:
    def __reduce__(self):
        return os.system, ("touch harm",)


def test_a_pickle_that_wants_to_run_code(folder):
    (folder / "model.safetensors").unlink()
    target = folder / "pytorch_model.bin"
    with zipfile.ZipFile(target, "w") as out:
        out.writestr("m/data.pkl", pickle.dumps({"model.norm.weight": Harmful()}, protocol=2))
    line = refusal(folder)
    assert "posix.system" in line and "pytorch_model.bin" in line and not (folder / "harm").exists()
    torch.save({"model": Harmful}, target)
    assert "asks for" in refusal(folder)
    model = tiny_models.make("llama")
    torch.save(model.state_dict(), target)
    whole = target.read_bytes()
    target.write_bytes(whole[:len(whole) // 2])
    assert "cut off" in refusal(folder)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("m/data.pkl", pickle.dumps({}, protocol=2) * 100)
    assert "compressed" in refusal(folder)
    torch.save(model.state_dict(), target, _use_new_zipfile_serialization=False)
    assert "before version 1.6" in refusal(folder)
    state = model.state_dict()
    state["model.layers.0.mlp.up_proj.weight"] = torch.zeros(64, 176).T
    torch.save(state, target)
    assert '"model.layers.0.mlp.up_proj.weight" of shape [176, 64] is not stored row by row' in refusal(folder)


@pytest.mark.parametrize("name, text, expected", [
    ("tokenizer.json", "{", "tokenizer.json: is no JSON"),
    ("tokenizer.json", "[]", "tokenizer.json: has no model"),
    ("tokenizer.json", '{"model": {"type": "BPE", "vocab": {"a": 1e300}}}', '"a" has an id'),
    ("tokenizer.json", '{"model": {"type": "BPE", "vocab": {"a": 9999}}}', "10000 tokens, but the model's embeddings have 259 rows"),
    ("tokenizer.model", "hello", "tokenizer.model"),
    ("added_tokens.json", '{"a": "b"}', "added_tokens.json"),
    ("added_tokens.json", '{"a": 999999999999}', "no vocabulary has"),
    ("generation_config.json", "3", "generation_config.json"),
    ("tokenizer_config.json", "nonsense", "tokenizer_config.json"),
])
def test_tokenizers_that_are_broken(name, text, expected, folder):
    (folder / name).write_text(text)
    assert expected in refusal(folder)


def test_folders_without_a_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    assert "holds no tokenizer" in refusal(folder)
    assert "of the kind spm" in refusal(folder, "--vocab-type", "spm")
    assert "'none' is none of" in refusal(folder, "--vocab-type", "none")


def test_flags_that_cannot_be(folder):
    for flags, expected in [(("--outtype", "q9"), "'q9'"), (("--bigendian",), "little-endian"), (("--awq-path", "x"), "AWQ"), (("--metadata", "none.json"), "no such file"),
                            (("--split-max-size", "many"), "many")]:
        assert expected in complaint("convert", folder, "--outfile", folder.parent / "out.gguf", *flags, printed=True), flags
    assert "no folder" in complaint("convert", folder, "--outfile", folder / "none" / "out.gguf", printed=True)
    assert not list(folder.parent.glob("out*"))
