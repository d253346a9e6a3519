"""quern quantize, split, merge and verify, from the outside: the gguf package reads what they write."""

import hashlib
import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")
from program import QUERN, STORIES, quern  # noqa: E402

ROWS = 256


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A random llama in F16 with two layers, one matrix of which has rows that blocks of 256 do not divide."""
    path = tmp_path_factory.mktemp("model") / "model.gguf"
    write_model(path)
    return path


def write_model(path, dtype=np.float16, change=lambda name, data: data, layers=2, rows=ROWS):
    rng = np.random.default_rng(5)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(256)
    writer.add_embedding_length(rows)
    writer.add_feed_forward_length(2 * rows)
    writer.add_head_count(8)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(64)
    sizes = {"token_embd.weight": (64, rows), "output.weight": (64, rows)}
    for i in range(layers):
        for part, size in {"attn_q": (rows, rows), "attn_k": (rows // 4, rows), "attn_v": (rows // 4, rows), "attn_output": (rows, rows),
                           "ffn_gate": (2 * rows, rows), "ffn_up": (2 * rows, rows), "ffn_down": (rows, 2 * rows)}.items():
            sizes[f"blk.{i}.{part}.weight"] = size
        sizes[f"blk.{i}.attn_norm.weight"] = sizes[f"blk.{i}.ffn_norm.weight"] = (rows,)
    sizes["output_norm.weight"] = (rows,)
    for name, size in sizes.items():
        data = np.ones(size, np.float32) if len(size) == 1 else (rng.standard_normal(size, np.float32) * 0.05).astype(dtype)
        writer.add_tensor(name, change(name, data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def values(path):
    return {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32).reshape(t.shape[::-1]) for t in gguf.GGUFReader(path).tensors}


def types(path):
    return {t.name: t.tensor_type.name for t in gguf.GGUFReader(path).tensors}


def complaint(*arguments):
    """The one line of a run that has to fail; the plan may have been printed before."""
    done = quern(*arguments, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and done.stderr.startswith("quern"), (arguments, done.returncode, done.stderr)
    return done.stderr


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# The error that each format may leave on Gaussian values, relative to their standard deviation.
FORMATS = {"F16": 0.0, "BF16": 0.003, "Q8_0": 0.006, "Q6_K": 0.02, "Q5_K_S": 0.04, "Q5_1": 0.045, "Q5_0": 0.05, "Q4_K_S": 0.09, "Q4_1": 0.09, "Q4_0": 0.1,
           "Q3_K_S": 0.18, "Q2_K": 0.35}


@pytest.mark.parametrize("name", FORMATS)
def test_quantized_values_are_near_the_originals(model, tmp_path, name):
    out = tmp_path / "out.gguf"
    quern("quantize", "--pure", model, out, name)
    before, after = values(model), values(out)
    assert list(before) == list(after)
    for tensor, x in before.items():
        error = np.sqrt(np.mean((after[tensor] - x) ** 2)) / np.std(x) if x.ndim > 1 else np.abs(after[tensor] - x).max()
        assert error <= (FORMATS[name] if x.ndim > 1 else 0), (tensor, error)
    reader = gguf.GGUFReader(out)
    assert reader.get_field("general.quantization_version").contents() == 2
    assert reader.get_field("general.file_type").contents() == {"F16": 1, "BF16": 32, "Q8_0": 7, "Q4_K_S": 14, "Q2_K": 10}.get(name, reader.get_field("general.file_type").contents())


@pytest.mark.parametrize("name", ["Q4_K_M", "Q5_K_M", "Q3_K_L", "Q2_K", "Q8_0", "Q4_0", "IQ4_XS", "IQ3_S"])
def test_the_same_bytes_come_from_any_threads_and_instructions(model, tmp_path, name):
    hashes = set()
    for threads in (1, 2, 5):
        quern("quantize", model, tmp_path / "out.gguf", name, threads)
        hashes.add(sha256(tmp_path / "out.gguf"))
    for isa in ("scalar", "avx2", "avx512"):
        if isa == "scalar" or isa in open("/proc/cpuinfo").read().replace("avx512f", "avx512"):
            quern("quantize", model, tmp_path / "out.gguf", name, env={"QUERN_CPU": isa})
            hashes.add(sha256(tmp_path / "out.gguf"))
    assert len(hashes) == 1


def test_the_choice_of_types_can_be_changed(model, tmp_path):
    out = tmp_path / "out.gguf"
    quern("quantize", "--tensor-type", "attn_[qk]=q8_0", "--tensor_type", r"blk\.1\.ffn_up=q6_K", "--output-tensor-type", "F16",
          "--token-embedding-type", "q4_0", model, out, "q4_k_s")
    found = types(out)
    assert found["blk.0.attn_q.weight"] == found["blk.1.attn_k.weight"] == "Q8_0"
    assert (found["blk.0.ffn_up.weight"], found["blk.1.ffn_up.weight"]) == ("Q4_K", "Q6_K")
    assert (found["output.weight"], found["token_embd.weight"], found["blk.0.attn_norm.weight"]) == ("F16", "Q4_0", "F32")
    quern("quantize", "--leave-output-tensor", "--override-kv", "general.name=str:Ü=1:2", "--override-kv", "llama.context_length=int:77", model, out, "15")
    assert types(out)["output.weight"] == "F16"
    reader = gguf.GGUFReader(out)
    assert reader.get_field("general.name").contents() == "Ü=1:2"
    assert reader.get_field("llama.context_length").contents() == 77


def test_rows_that_blocks_do_not_divide_fall_back_and_the_summary_says_so(tmp_path):
    write_model(tmp_path / "in.gguf", rows=192)
    done = quern("quantize", tmp_path / "in.gguf", tmp_path / "out.gguf", "Q4_K_M")
    assert "fell back" in done.stdout
    found = types(tmp_path / "out.gguf")
    assert found["blk.0.attn_q.weight"] == "Q5_0" and found["output.weight"] == "Q8_0"
    assert found["blk.0.ffn_gate.weight"] == "Q5_0"


def test_the_plan_is_printed_and_a_dry_run_writes_nothing(model, tmp_path):
    done = quern("quantize", "--dry-run", model, tmp_path / "out.gguf", "Q4_K_M")
    assert "blk.0.attn_v.weight" in done.stdout and "bits per weight" in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_default_name_stands_beside_the_input(tmp_path):
    write_model(tmp_path / "in.gguf")
    quern("quantize", tmp_path / "in.gguf", "q8_0")
    assert types(tmp_path / "ggml-model-Q8_0.gguf")["output.weight"] == "Q8_0"


def test_bad_input_is_one_line_and_leaves_the_target_alone(model, tmp_path):
    out = tmp_path / "out.gguf"
    out.write_text("precious")
    broken = tmp_path / "broken.gguf"
    write_model(broken, change=lambda name, data: np.where(np.arange(data.size).reshape(data.shape) == 300, np.nan, data).astype(data.dtype) if "blk.1.ffn_up" in name else data)
    truncated = tmp_path / "truncated.gguf"
    truncated.write_bytes(model.read_bytes()[:-1000])
    quantized = tmp_path / "q8.gguf"
    quern("quantize", model, quantized, "q8_0")
    for arguments, expected in [
        ((broken, out, "Q4_K_M"), "blk.1.ffn_up.weight holds a value that is not finite, in row 1, column 44"),
        ((truncated, out, "Q4_K_M"), "byte"),
        ((tmp_path / "none.gguf", out, "Q4_K_M"), "none.gguf"),
        ((quantized, out, "Q4_K_M"), "--allow-requantize"),
        ((model, out, "Q4_K_X"), "Q4_K_X"),
        ((model, out, "Q4_K_M", "many"), "many"),
        ((model, out, "IQ2_XXS"), "importance matrix"),
        ((model, out, "Q4_K_M", "--tensor-type", "[=q8_0"), "regular expression"),
        ((model, out, "Q4_K_M", "--tensor-type", "a=q9"), "q9"),
        ((model, out, "Q4_K_M", "--tensor-type", "attn_w=q8_0"), '"attn_w" is found in no name of a tensor that is quantized'),
        ((model, out, "Q4_K_M", "--tensor-type", "^([a-z0-9._]+)+$X=q8_0"), '"^([a-z0-9._]+)+$X"'),
        ((model, out, "Q4_K_M", "--override-kv", "a=int:x"), "'x'"),
        ((model, tmp_path / "no" / "out.gguf", "Q4_K_M"), "no"),
        ((model, model, "Q4_K_M"), "file to read"),
    ]:
        assert expected in complaint("quantize", *arguments), arguments
        assert out.read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.gguf", "out.gguf", "q8.gguf", "truncated.gguf"]
    quern("quantize", "--allow-requantize", quantized, out, "Q4_K_M")
    assert types(out)["blk.0.attn_q.weight"] == "Q4_K"


def test_an_interrupted_run_leaves_nothing(tmp_path):
    write_model(tmp_path / "in.gguf", layers=40)
    process = subprocess.Popen([str(QUERN), "quantize", str(tmp_path / "in.gguf"), str(tmp_path / "out.gguf"), "Q2_K", "1"], stdout=subprocess.DEVNULL)
    time.sleep(0.15)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=10)
    assert process.returncode != 0, "it was done before the signal came"
    assert not (tmp_path / "out.gguf").exists()


def test_parts_are_kept_split_and_merged(model, tmp_path):
    quern("split", "--split-max-tensors", "5", model, tmp_path / "part")
    parts = sorted(tmp_path.iterdir())
    assert parts[0].name == "part-00001-of-00005.gguf" and len(parts) == 5
    quern("quantize", "--keep-split", parts[0], tmp_path / "q.gguf", "Q4_K_M")
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("q-"))[0] == "q-00001-of-00005.gguf"
    quern("merge", tmp_path / "q-00001-of-00005.gguf", tmp_path / "merged.gguf")
    quern("quantize", model, tmp_path / "whole.gguf", "Q4_K_M")
    assert quern("verify", tmp_path / "merged.gguf", "--against", tmp_path / "whole.gguf").returncode == 0
    quern("merge", parts[0], tmp_path / "same.gguf")
    assert values(tmp_path / "same.gguf").keys() == values(model).keys()


def test_verify_hashes_and_compares(model, tmp_path):
    report = json.loads(quern("verify", "--json", model).stdout)
    for tensor, seen in zip(gguf.GGUFReader(model).tensors, report["tensors"], strict=True):
        assert seen["name"] == tensor.name
        assert seen["sha256"] == hashlib.sha256(np.ascontiguousarray(tensor.data).tobytes()).hexdigest()
        assert seen["not_finite"] == 0
    quern("quantize", model, tmp_path / "q.gguf", "Q8_0")
    done = quern("verify", model, "--against", tmp_path / "q.gguf", "--json", check=False)
    assert done.returncode == 1
    differences = {d["name"]: d for d in json.loads(done.stdout)["differences"]}
    assert differences["output.weight"]["difference"] == "other format"
    assert 0.001 < differences["output.weight"]["relative_rmse"] < 0.01
    assert "blk.0.attn_norm.weight" not in differences


def test_a_quantized_model_still_tells_its_story(tmp_path):
    quern("quantize", STORIES, tmp_path / "out.gguf", "Q8_0")
    def story(path):
        return quern("run", "-m", path, "-p", "", "-n", "40", "--temp", "0").stdout
    assert story(tmp_path / "out.gguf")[:40] == story(STORIES)[:40]


def test_a_target_that_cannot_be_written_is_one_line(model, tmp_path):
    if os.geteuid() == 0:
        target = "/proc/out.gguf"
    else:
        tmp_path.chmod(0o500)
        target = tmp_path / "out.gguf"
    assert "out.gguf" in complaint("quantize", model, target, "Q4_0")


def test_a_missing_type_is_said_so(model):
    for words in ([model], [model, "--dry-run"], ["Q4_0"]):
        done = quern("quantize", *words, check=False)
        assert done.returncode == 1 and done.stderr.count("\n") == 1


def test_no_source_is_overwritten_and_no_device_replaced(model, tmp_path):
    quern("split", "--split-max-tensors", 8, model, tmp_path / "a")
    parts = sorted(tmp_path.glob("a-*.gguf"))
    before = [part.read_bytes() for part in parts]
    for command in (["quantize", "--keep-split", parts[0], tmp_path / "a.gguf", "Q4_0"], ["quantize", parts[0], parts[1], "Q4_0"], ["merge", parts[0], parts[0]]):
        done = quern(*command, check=False)
        assert done.returncode == 1 and "give another name" in done.stderr, done.stderr
    assert [part.read_bytes() for part in parts] == before
    os.mkfifo(tmp_path / "pipe")
    done = quern("quantize", model, tmp_path / "pipe", "Q4_0", check=False)
    assert done.returncode == 1 and "not a file" in done.stderr


def test_the_permissions_of_a_file_that_is_replaced_stay_and_links_are_followed(model, tmp_path):
    (tmp_path / "real.gguf").write_bytes(b"old")
    (tmp_path / "real.gguf").chmod(0o600)
    (tmp_path / "link.gguf").symlink_to(tmp_path / "real.gguf")
    quern("quantize", model, tmp_path / "link.gguf", "Q4_0")
    assert (tmp_path / "link.gguf").is_symlink()
    assert (tmp_path / "real.gguf").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "real.gguf").read_bytes().startswith(b"GGUF")


def test_a_norm_that_is_not_a_number_stops_quantizing(tmp_path):
    write_model(tmp_path / "nan.gguf", change=lambda name, data: data * np.float32("nan") if name == "output_norm.weight" else data)
    done = quern("quantize", tmp_path / "nan.gguf", tmp_path / "out.gguf", "Q4_0", check=False)
    assert done.returncode == 1 and "output_norm.weight" in done.stderr
    assert not (tmp_path / "out.gguf").exists()


def test_verify_tells_of_values_that_no_trained_model_has(tmp_path):
    def change(name, data):
        if name == "blk.0.attn_q.weight":
            data[3, 5] = 60000
        return data

    write_model(tmp_path / "odd.gguf", change=change)
    done = quern("verify", tmp_path / "odd.gguf", check=False)
    assert done.returncode == 1 and "SUSPECT  blk.0.attn_q.weight" in done.stdout
    assert json.loads(quern("verify", "--json", tmp_path / "odd.gguf", check=False).stdout)["suspicious"] == 1


def test_a_number_behind_a_type_is_the_threads(model, tmp_path):
    copy = tmp_path / "m.gguf"
    copy.write_bytes(model.read_bytes())
    quern("quantize", copy, "Q8_0", 2)
    assert (tmp_path / "ggml-model-Q8_0.gguf").exists()
