"""quern imatrix, and quantizing with what it writes: the sums against transformers, the files against the gguf package."""

import re
import resource
import signal
import struct
import subprocess
import time

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")
torch = pytest.importorskip("torch")
import tiny_models  # noqa: E402
from program import QUERN, complaint, quern  # noqa: E402

TEXT = "".join(chr(33 + (i * i + 7 * (i // 13)) % 90) for i in range(1000))
CHUNK = 64


def tokens_of(text):
    return [1] + [3 + b for b in text.encode()]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny llama whose rows blocks of 32 divide, and the transformers model that it is."""
    path = tmp_path_factory.mktemp("model") / "model.gguf"
    oracle = tiny_models.make("llama-gqa-tied")
    tiny_models.write(oracle, path)
    return path, oracle


def matrix(path):
    """name: (sums, counts)"""
    tensors = {t.name: t.data.reshape(-1) if t.data.ndim == 1 else t.data for t in gguf.GGUFReader(path).tensors}
    return {n.removesuffix(".in_sum2"): (d, tensors[n.removesuffix(".in_sum2") + ".counts"]) for n, d in tensors.items() if n.endswith(".in_sum2")}


def expected_sums(oracle, chunks):
    """Sums of squares of what each linear layer is given, by forward hooks."""
    sums, hooks = {}, []
    for name, module in oracle.named_modules():
        if isinstance(module, torch.nn.Linear):
            def note(_, inputs, name=name):
                sums[name] = sums.get(name, 0) + (inputs[0][0].double() ** 2).sum(0).numpy()
            hooks.append(module.register_forward_pre_hook(note))
    ids = tokens_of(TEXT)
    with torch.no_grad():
        for i in chunks:
            part = ids[i * CHUNK:(i + 1) * CHUNK]
            oracle(torch.tensor([[1] + part[1:]]))
    for hook in hooks:
        hook.remove()
    return {("token_embd.weight" if n == "lm_head" else tiny_models.gguf_name(n + ".weight")): s for n, s in sums.items()}


def test_sums_are_those_of_the_original_model(model, text, tmp_path):
    path, oracle = model
    out = tmp_path / "out.gguf"
    quern("imatrix", "-m", path, "-f", text, "-o", out, "-c", CHUNK, "--chunks", 5, "--chunk", 2, "--process-output", "-ctk", "f32")
    found, wanted = matrix(out), expected_sums(oracle, range(2, 7))
    assert found.keys() == wanted.keys()
    for name, sums in wanted.items():
        assert found[name][1] == 5 * CHUNK, name
        np.testing.assert_allclose(found[name][0].reshape(-1), sums, rtol=1e-3, err_msg=name)
    reader = gguf.GGUFReader(out)
    assert reader.get_field("general.type").contents() == "imatrix"
    assert reader.get_field("imatrix.datasets").contents() == [str(text)]
    assert reader.get_field("imatrix.chunk_count").contents() == 5 and reader.get_field("imatrix.chunk_size").contents() == CHUNK


def test_the_output_is_left_out_unless_asked_for(model, text, tmp_path):
    quern("imatrix", "-m", model[0], "-f", text, "-o", tmp_path / "out.gguf", "-c", CHUNK, "--chunks", 1, "--no-ppl")
    assert all(name.startswith("blk.") for name in matrix(tmp_path / "out.gguf"))


def test_the_same_file_comes_from_any_number_of_threads_and_batches(model, text, tmp_path):
    files = set()
    for i, flags in enumerate([("-t", 1), ("-t", 2), ("-t", 5, "--no-ppl")]):
        quern("imatrix", "-m", model[0], "-f", text, "-o", tmp_path / f"{i}.gguf", "-c", CHUNK, "--chunks", 3, *flags)
        files.add((tmp_path / f"{i}.gguf").read_bytes())
    assert len(files) == 1


def test_perplexity_is_that_of_quern_perplexity(model, text, tmp_path):
    estimate = re.compile(r"Final estimate: PPL = ([0-9.]+)")
    ours = quern("imatrix", "-m", model[0], "-f", text, "-o", tmp_path / "out.gguf", "-c", CHUNK)
    theirs = quern("perplexity", "-m", model[0], "-f", text, "-c", CHUNK)
    assert estimate.search(ours.stdout).group(1) == estimate.search(theirs.stdout).group(1)


def test_matrices_are_joined_and_converted(model, text, tmp_path):
    def run(name, *flags):
        quern("imatrix", "-m", model[0], "-f", text, "-o", tmp_path / name, "-c", CHUNK, *flags)
    run("a.gguf", "--chunks", 3)
    run("b.gguf", "--chunks", 2, "--chunk", 3)
    run("all.gguf", "--chunks", 5)
    run("b_after_a.gguf", "--chunks", 2, "--chunk", 3, "--in-file", tmp_path / "a.gguf")
    quern("imatrix", "--in-file", tmp_path / "a.gguf", "--in-file", tmp_path / "b.gguf", "-o", tmp_path / "joined.gguf")
    quern("imatrix", "--in-file", tmp_path / "all.gguf", "-o", tmp_path / "all.dat", "-c", CHUNK)
    quern("imatrix", "--in-file", tmp_path / "all.dat", "-o", tmp_path / "back.gguf", "-c", CHUNK)
    wanted = matrix(tmp_path / "all.gguf")
    for other in ("joined.gguf", "b_after_a.gguf", "back.gguf"):
        found = matrix(tmp_path / other)
        assert found.keys() == wanted.keys(), other
        for name, (sums, counts) in wanted.items():
            np.testing.assert_allclose(found[name][0], sums, rtol=1e-5)
            assert found[name][1] == counts, (other, name)
    table = quern("imatrix", "--show-statistics", "--in-file", tmp_path / "all.dat").stdout
    assert "blk.1.ffn_down.weight" in table and "entropy" in table


def test_the_old_format_is_as_llama_cpp_writes_it(model, text, tmp_path):
    quern("imatrix", "-m", model[0], "-f", text, "-o", tmp_path / "out.gguf", "-c", CHUNK, "--chunks", 2)
    quern("imatrix", "-m", model[0], "-f", text, "-o", tmp_path / "out.dat", "-c", CHUNK, "--chunks", 2)
    data, wanted = (tmp_path / "out.dat").read_bytes(), matrix(tmp_path / "out.gguf")
    at = 0

    def take(form):
        nonlocal at
        at += struct.calcsize(form)
        return struct.unpack_from(form, data, at - struct.calcsize(form))
    for _ in range(take("<i")[0]):
        name = take(f"<{take('<i')[0]}s")[0].decode()
        calls, n = take("<2i")
        assert calls == 2
        np.testing.assert_allclose(take(f"<{n}f"), (wanted[name][0] / wanted[name][1] * 2).reshape(-1), rtol=1e-5)
    assert take("<i")[0] == 2
    assert take(f"<{take('<i')[0]}s")[0].decode() == str(text) and at == len(data)


def test_an_interrupted_run_goes_on_from_its_file(model, tmp_path):
    text = tmp_path / "long.txt"
    text.write_text(TEXT * 300)
    arguments = ["imatrix", "-m", str(model[0]), "-f", str(text), "-c", str(CHUNK), "--chunks", "4000", "-ofreq", "1"]
    process = subprocess.Popen([str(QUERN), *arguments, "-o", str(tmp_path / "out.gguf")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out.gguf").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "goes on from there" in said
    done = int(re.search(r"holds (\d+) of 4000", said).group(1))
    assert list(matrix(tmp_path / "out.gguf").values())[0][1] == done * CHUNK
    arguments[arguments.index("4000")] = str(done + 3)
    again = quern(*arguments, "-o", tmp_path / "out.gguf")
    assert f"going on after chunk {done}" in again.stderr
    quern(*arguments, "-o", tmp_path / "whole.gguf")
    found, wanted = matrix(tmp_path / "out.gguf"), matrix(tmp_path / "whole.gguf")
    for name, (sums, counts) in wanted.items():
        np.testing.assert_allclose(found[name][0], sums, rtol=1e-4)
        assert found[name][1] == counts
    assert "going on" not in quern(*arguments, "-o", tmp_path / "out.gguf").stderr, "a finished file is replaced"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["long.txt", "out.gguf", "whole.gguf"]


def write_matrix(path, entries, kind="imatrix"):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", kind)
    writer.add_array("imatrix.datasets", ["text"])
    for name, (sums, counts) in entries.items():
        writer.add_tensor(name + ".in_sum2", np.asarray(sums, np.float32))
        if counts is not None:
            writer.add_tensor(name + ".counts", np.asarray(counts, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def weighted_error(before, after, weights):
    return float((((after - before) ** 2) * weights).sum())


def values(path):
    return {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32).reshape(t.shape[::-1]) for t in gguf.GGUFReader(path).tensors}


def test_a_matrix_moves_the_errors_to_where_they_matter_less(model, text, tmp_path):
    path, _ = model
    quern("imatrix", "-m", path, "-f", text, "-o", tmp_path / "im.gguf", "-c", CHUNK)
    quern("imatrix", "-m", path, "-f", text, "-o", tmp_path / "im.dat", "-c", CHUNK)
    quern("quantize", path, tmp_path / "plain.gguf", "Q4_0", "--pure")
    said = quern("quantize", "--imatrix", tmp_path / "im.gguf", path, tmp_path / "weighted.gguf", "Q4_0", "--pure").stdout
    assert "token_embd.weight" in said.split("not in the importance matrix")[1]
    quern("quantize", "--imatrix", tmp_path / "im.dat", path, tmp_path / "dat.gguf", "Q4_0", "--pure")
    before, plain, weighted, dat = (values(p) for p in (path, tmp_path / "plain.gguf", tmp_path / "weighted.gguf", tmp_path / "dat.gguf"))
    total = {"plain": 0.0, "weighted": 0.0, "dat": 0.0}
    for name, (sums, counts) in matrix(tmp_path / "im.gguf").items():
        for kind, after in (("plain", plain), ("weighted", weighted), ("dat", dat)):
            total[kind] += weighted_error(before[name], after[name], sums.reshape(-1) / counts)
    assert total["weighted"] < 0.98 * total["plain"]
    assert total["dat"] == pytest.approx(total["weighted"], rel=0.01)
    reader = gguf.GGUFReader(tmp_path / "weighted.gguf")
    assert reader.get_field("quantize.imatrix.file").contents() == str(tmp_path / "im.gguf")
    assert reader.get_field("quantize.imatrix.dataset").contents() == str(text)
    assert reader.get_field("quantize.imatrix.entries_count").contents() == 21
    assert reader.get_field("quantize.imatrix.chunks_count").contents() == 15


def test_weights_are_included_and_excluded_by_name(model, text, tmp_path):
    path, _ = model
    quern("imatrix", "-m", path, "-f", text, "-o", tmp_path / "im.gguf", "-c", CHUNK)
    for flags, n in [(("--include-weights", "ffn_up"), 3), (("--exclude-weights", "ffn_up", "--exclude-weights", "attn_"), 6)]:
        quern("quantize", "--imatrix", tmp_path / "im.gguf", *flags, path, tmp_path / "out.gguf", "Q4_0")
        assert gguf.GGUFReader(tmp_path / "out.gguf").get_field("quantize.imatrix.entries_count").contents() == n


def test_broken_and_foreign_matrices_are_one_line(model, text, tmp_path):
    path, _ = model
    good = tmp_path / "good.gguf"
    quern("imatrix", "-m", path, "-f", text, "-o", good, "-c", CHUNK, "--chunks", 2)
    quern("imatrix", "--in-file", good, "-o", tmp_path / "good.dat")
    name, width = "blk.0.attn_q.weight", 64
    cases = {
        "cut.gguf": (good.read_bytes()[:-50], "byte"),
        "cut.dat": ((tmp_path / "good.dat").read_bytes()[:5000], "ends inside the values"),
        "text.dat": (b"just some text, and no matrix at all", "byte"),
        "empty.dat": (b"", "empty"),
        "claims.dat": (struct.pack("<3i", 1, 2**31 - 1, 0), "ends inside a name"),
        "negative.dat": (struct.pack("<2i", 1, -5), "is -5"),
        "nan.dat": (struct.pack("<2i1s2i2f", 1, 1, b"a", 1, 2, 1.0, float("nan")), "value 1 of a is nan"),
    }
    for file, (data, _) in cases.items():
        (tmp_path / file).write_bytes(data)
    for file, entries, kind, expected in [
        ("nan.gguf", {name: ([[np.nan] * width], [[1]])}, "imatrix", "is nan"),
        ("negative.gguf", {name: ([[-1] * width], [[1]])}, "imatrix", "is -1"),
        ("lonely.gguf", {name: ([[1] * width], None)}, "imatrix", "no counts"),
        ("uneven.gguf", {name: ([[1] * width], [[1]] * 3)}, "imatrix", "64 sums for 3 counts"),
        ("none.gguf", {"x": ([1], [1])}, "model", "another model"),
        ("narrow.gguf", {name: ([[1] * 32], [[1]])}, "imatrix", "another model"),
    ]:
        write_matrix(tmp_path / file, entries, kind)
        cases[file] = (None, expected)
    cases[path] = (None, "no importance matrix")
    cases["missing.gguf"] = (None, "missing.gguf")
    before = sorted(p.name for p in tmp_path.iterdir())
    for file, (_, expected) in cases.items():
        assert expected in complaint("quantize", "--imatrix", tmp_path / file, path, tmp_path / "out.gguf", "Q4_0"), file
    for arguments, expected in [
        (("-m", path), "-f FILE"),
        (("-f", text), "-m FILE"),
        (("-m", path, "-f", tmp_path / "none.txt", "-c", CHUNK), "none.txt"),
        (("-m", path, "-f", text, "-c", 256, "--chunk", 3), "tokens"),
        (("-m", path, "-f", text, "-c", CHUNK, "--chunk", 20), "skips"),
        (("-m", path, "-f", text, "-c", CHUNK, "-o", tmp_path / "no" / "out.gguf"), "no folder"),
        (("-m", path, "-f", text, "-c", CHUNK, "-o", tmp_path), "folder"),
        (("--in-file", good, "--in-file", tmp_path / "narrow.gguf"), "different models"),
        (("--in-file", tmp_path / "cut.gguf"), "byte"),
        (("--show-statistics",), "--in-file"),
        (("--in-file", good, "--output-format", "xml"), "xml"),
    ]:
        assert expected in complaint("imatrix", *arguments), arguments
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_types_that_need_a_matrix_get_one(tmp_path):
    from test_quantize import types, write_model
    write_model(tmp_path / "in.gguf")
    assert "--imatrix" in complaint_after_plan(tmp_path / "in.gguf", tmp_path / "out.gguf", "IQ2_XXS")
    entries = {}
    for name, kind in types(tmp_path / "in.gguf").items():
        if name.startswith("blk.") and kind == "F16":
            entries[name] = ([np.linspace(0.1, 2, 512 if "ffn_down" in name else 256)], [[1]])
    write_matrix(tmp_path / "im.gguf", entries)
    quern("quantize", "--imatrix", tmp_path / "im.gguf", tmp_path / "in.gguf", tmp_path / "out.gguf", "IQ2_XXS")
    assert types(tmp_path / "out.gguf")["blk.1.ffn_up.weight"] == "IQ2_XXS"
    del entries["blk.1.ffn_up.weight"]
    write_matrix(tmp_path / "lacking.gguf", entries)
    assert "blk.1.ffn_up.weight, which the importance matrix lacks" in complaint_after_plan("--imatrix", tmp_path / "lacking.gguf", tmp_path / "in.gguf",
                                                                                             tmp_path / "out2.gguf", "IQ2_XXS")


def complaint_after_plan(*arguments):
    done = quern("quantize", *arguments, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_fitted_file_has_the_size_asked_for_whatever_the_threads(tmp_path):
    from test_quantize import types
    oracle = tiny_models.make("llama-gqa-tied")
    tiny_models.write(oracle, tmp_path / "in.gguf")
    seen = set()
    for threads in (1, 2, 3):
        said = quern("quantize", "--fit", "170KiB", tmp_path / "in.gguf", tmp_path / "out.gguf", threads).stdout
        seen.add((tmp_path / "out.gguf").read_bytes())
    assert "expected KL divergence" in said and len(seen) == 1
    assert 160 * 1024 < (tmp_path / "out.gguf").stat().st_size <= 170 * 1024
    assert len(set(types(tmp_path / "out.gguf").values()) - {"F32"}) > 1
    quern("quantize", "--fit", "8bpw", "--fit-types", "q4_0,q8_0", "--tensor-type", "attn_q=q5_1", tmp_path / "in.gguf")
    found = types(tmp_path / "ggml-model-8bpw.gguf")
    assert set(found.values()) <= {"F32", "Q4_0", "Q8_0", "Q5_1", "F16"} and found["blk.0.attn_q.weight"] == "Q5_1"
    bits = 8 * sum(t.n_bytes for t in gguf.GGUFReader(tmp_path / "ggml-model-8bpw.gguf").tensors)
    assert 7.5 < bits / sum(int(np.prod(t.shape)) for t in gguf.GGUFReader(tmp_path / "in.gguf").tensors) <= 8
    for arguments, expected in [
        (("--fit", "10KB"), "at least"),
        (("--fit", "0.5bpw"), "at least"),
        (("--fit", "manybpw"), "4.1bpw"),
        (("--fit", "much"), "no size"),
        (("--fit", "0"), "small"),
        (("--fit", "5bpw", "--fit-types", "q9"), "q9"),
        (("--fit", "8bpw", "--fit-text", tmp_path / "none.txt"), "none.txt"),
        (("--fit-types", "q8_0"), "--fit SIZE"),
    ]:
        assert expected in complaint("quantize", *arguments, tmp_path / "in.gguf", tmp_path / "no.gguf"), arguments
    assert "leave out Q4_K_M" in complaint("quantize", "--fit", "5bpw", tmp_path / "in.gguf", tmp_path / "no.gguf", "Q4_K_M")
    assert not (tmp_path / "no.gguf").exists()


def test_a_model_that_cannot_be_run_is_fitted_by_its_weights(tmp_path):
    from test_quantize import write_model
    write_model(tmp_path / "in.gguf")  # it has no vocabulary
    done = quern("quantize", "--fit", "4.3bpw", tmp_path / "in.gguf", tmp_path / "out.gguf")
    assert "weights' errors alone" in done.stderr and "relative errors" in done.stdout


def limited(*arguments):
    """A run that may write files of 10 kB only."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))  # noqa: E731
    return subprocess.run([str(QUERN), *map(str, arguments)], capture_output=True, text=True, preexec_fn=limit, restore_signals=False)


def test_a_full_disk_is_one_line_and_leaves_what_was_there(model, text, tmp_path):
    (tmp_path / "out.gguf").write_text("precious")
    for arguments in [("imatrix", "-m", model[0], "-f", text, "-o", tmp_path / "out.gguf", "-c", CHUNK, "--chunks", 1, "--no-ppl"),
                      ("quantize", model[0], tmp_path / "out.gguf", "Q4_0")]:
        done = limited(*arguments)
        assert done.returncode == 1 and "cannot set aside" in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert (tmp_path / "out.gguf").read_text() == "precious" and len(list(tmp_path.iterdir())) == 1


def test_copy_keeps_every_tensor_and_the_file_type(model, tmp_path):
    from test_quantize import types
    quern("quantize", model[0], tmp_path / "q8.gguf", "Q8_0")
    quern("quantize", "--override-kv", "general.name=str:other", tmp_path / "q8.gguf", tmp_path / "copy.gguf", "copy")
    assert types(tmp_path / "copy.gguf") == types(tmp_path / "q8.gguf")
    reader = gguf.GGUFReader(tmp_path / "copy.gguf")
    assert reader.get_field("general.file_type").contents() == 7 and reader.get_field("general.name").contents() == "other"
