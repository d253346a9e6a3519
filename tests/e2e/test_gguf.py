"""`quern inspect` and the GGUF writer against the reference package `gguf`, and broken files at the command line.

QUERN names the binary (default: build/quern), QUERN_TEST_GGUF the unit test binary (default: test_gguf beside it).
"""

import json
import math
import os
import pathlib
import struct
import subprocess
import time

import gguf
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUERN = pathlib.Path(os.environ.get("QUERN", ROOT / "build" / "quern"))
TEST_GGUF = pathlib.Path(os.environ.get("QUERN_TEST_GGUF", QUERN.parent / "test_gguf"))

PLAIN = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64}
BLOCKS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",
          "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "IQ1_M", "BF16", "TQ1_0", "TQ2_0", "MXFP4"]

SCALARS = {
    "u8": ("add_uint8", [0, 200, 255]), "i8": ("add_int8", [-128, 127]), "u16": ("add_uint16", [65535]), "i16": ("add_int16", [-32768]),
    "u32": ("add_uint32", [0, 4294967295]), "i32": ("add_int32", [-2147483648]), "u64": ("add_uint64", [2**64 - 1, 2**53 + 1]),
    "i64": ("add_int64", [-(2**63)]), "f32": ("add_float32", [0.1, -0.0, 1e-38, 3e38]), "f64": ("add_float64", [0.1, 1e300]),
    "bool": ("add_bool", [True, False]), "string": ("add_string", ["text", "tab\t\n\x1b[31m \"quoted\" \\ üñ日本😀\u202e\x7f"]),
}
# add_string drops an empty string, an array keeps it.
ARRAYS = {"strings": ["a", "", "üñ", "line\nbreak"], "ints": [1, -2, 3], "reals": [0.5, -0.25, 0.1], "bools": [True, False, True]}


def inspect(path, *flags, check=True):
    done = subprocess.run([QUERN, "inspect", *flags, str(path)], capture_output=True, timeout=10)
    if check:
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("ascii" if "--json" in flags else "utf-8")
    return done


def write_model(path):
    """A file with keys of every type and a tensor of every format; gives the tensors' (format, shape, bytes)."""
    writer = gguf.GGUFWriter(path, "llama")
    for kind, (method, values) in SCALARS.items():
        for i, value in enumerate(values):
            getattr(writer, method)(f"test.{kind}.{i}", value)
    for name, values in ARRAYS.items():
        writer.add_array(f"test.{name}", values)
    random = np.random.default_rng(1)
    tensors = {}
    for name, dtype in PLAIN.items():
        for shape in [(5,), (3, 4), (2, 3, 4), (2, 1, 3, 4)]:
            values = random.integers(-100, 100, shape).astype(dtype)
            writer.add_tensor(f"{name}.{len(shape)}", values)
            tensors[f"{name}.{len(shape)}"] = (name, shape, values.tobytes())
    for name in BLOCKS:
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        values = random.integers(0, 256, (3, 2 * size), dtype=np.uint8)
        writer.add_tensor(f"{name}.blocks", values, raw_dtype=kind)
        tensors[f"{name}.blocks"] = (name, (3, 2 * block), values.tobytes())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def same_value(kind, seen, expected):
    return np.float32(seen) == np.float32(expected) if kind == "f32" else seen == expected and type(seen) is type(expected)


def test_every_key_and_every_format_is_reported_as_written(tmp_path):
    path = tmp_path / "all.gguf"
    tensors = write_model(path)
    report = json.loads(inspect(path, "--json"))
    assert report["architecture"] == "llama"
    assert report["version"] == 3
    assert report["file_bytes"] == path.stat().st_size
    keys = report["metadata"]
    for kind, (_, values) in SCALARS.items():
        for i, value in enumerate(values):
            entry = keys[f"test.{kind}.{i}"]
            assert entry["type"] == kind
            assert same_value(kind, entry["value"], value), (kind, value, entry)
    for name, element in [("strings", "string"), ("ints", "i32"), ("reals", "f32"), ("bools", "bool")]:
        entry = keys[f"test.{name}"]
        assert (entry["type"], entry["element_type"]) == ("array", element)
        assert len(entry["value"]) == len(ARRAYS[name])
        assert all(same_value(element, seen, value) for seen, value in zip(entry["value"], ARRAYS[name]))
    content = path.read_bytes()
    assert len(report["tensors"]) == len(tensors)
    for seen in report["tensors"]:
        name, shape, data = tensors[seen["name"]]
        assert (seen["type"], tuple(seen["shape"]), seen["bytes"]) == (name, shape, len(data))
        assert content[seen["offset"]:seen["offset"] + seen["bytes"]] == data
    assert report["parameters"] == sum(math.prod(shape) for _, shape, _ in tensors.values())
    assert sum(t["bytes"] for t in report["types"].values()) == report["tensor_bytes"]


def test_a_copy_by_our_writer_reads_the_same_in_the_reference_package(tmp_path):
    if not TEST_GGUF.exists():
        pytest.skip(f"{TEST_GGUF} is not built")
    source, target = tmp_path / "a.gguf", tmp_path / "b.gguf"
    write_model(source)
    environment = os.environ | {"QUERN_COPY_FROM": str(source), "QUERN_COPY_TO": str(target)}
    subprocess.run([TEST_GGUF, "-tc=the file named by QUERN_COPY_FROM*"], env=environment, check=True, stdout=subprocess.DEVNULL)
    a, b = gguf.GGUFReader(source), gguf.GGUFReader(target)
    assert list(a.fields) == list(b.fields)
    for key in a.fields:
        assert a.fields[key].types == b.fields[key].types
        assert [p.tobytes() for p in a.fields[key].parts] == [p.tobytes() for p in b.fields[key].parts]
    assert len(a.tensors) == len(b.tensors)
    for x, y in zip(a.tensors, b.tensors):
        assert (x.name, x.tensor_type, list(x.shape)) == (y.name, y.tensor_type, list(y.shape))
        assert x.data.tobytes() == y.data.tobytes()


def test_the_page_for_people_cannot_steer_the_terminal(tmp_path):
    path = tmp_path / "all.gguf"
    write_model(path)
    page = inspect(path, "--tensors")
    assert "\x1b" not in page and "\x7f" not in page and "\u202e" not in page
    assert "\\x1b[31m" in page
    assert "MXFP4.blocks" in page


def test_reals_that_are_not_finite_are_strings(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    for name, value in [("nan", float("nan")), ("inf", float("inf")), ("-inf", float("-inf"))]:
        writer.add_float32(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    keys = json.loads(inspect(tmp_path / "a.gguf", "--json"))["metadata"]
    assert [keys[name]["value"] for name in ("nan", "inf", "-inf")] == ["nan", "inf", "-inf"]


def test_a_split_is_inspected_as_one(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama", split_max_tensors=2)
    for i in range(5):
        writer.add_tensor(f"t{i}", np.full((4, 8), i, np.float32))
    writer.write_header_to_file(tmp_path / "m.gguf")
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    first = tmp_path / "m-00001-of-00003.gguf"
    report = json.loads(inspect(first, "--json"))
    assert report["parts"] == 3
    assert sorted((t["name"], t["part"]) for t in report["tensors"]) == [("t0", 0), ("t1", 0), ("t2", 1), ("t3", 1), ("t4", 2)]
    assert_refused(tmp_path / "m-00002-of-00003.gguf", "open part 1")
    (tmp_path / "m-00003-of-00003.gguf").unlink()
    assert_refused(first, "m-00003-of-00003.gguf: no such file")


def assert_refused(path, *expected):
    begin = time.monotonic()
    done = inspect(path, check=False)
    assert time.monotonic() - begin < 1
    assert done.returncode == 1
    assert done.stdout == b""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert all(text in lines[0] for text in expected), lines
    return lines[0]


def count(value):
    return struct.pack("<Q", value)


def key(name, kind, value=b""):
    return count(len(name)) + name + struct.pack("<I", kind) + value


def header(n_tensors, n_keys, version=3, magic=b"GGUF"):
    return magic + struct.pack("<IQQ", version, n_tensors, n_keys)


HUGE = 2**62
BROKEN = {
    "empty": b"",
    "magic": b"GGML" + bytes(40),
    "only magic": b"GGUF",
    "version 1": header(0, 0, version=1),
    "version 9": header(0, 0, version=9),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "huge tensor count": header(HUGE, 0) + bytes(100),
    "huge key count": header(0, HUGE) + bytes(100),
    "long key": header(0, 1) + count(HUGE) + bytes(100),
    "key not UTF-8": header(0, 1) + key(b"\xff\xfe", 0, b"\1"),
    "key twice": header(0, 2) + 2 * key(b"a", 0, b"\1"),
    "value type": header(0, 1) + key(b"a", 13, bytes(8)),
    "long string": header(0, 1) + key(b"a", 8, count(HUGE)),
    "array of strings": header(0, 1) + key(b"a", 9, struct.pack("<IQ", 8, HUGE) + bytes(64)),
    "array bomb": header(0, 1) + key(b"a", 9, struct.pack("<IQ", 9, 1) * 10000),
    "bool": header(0, 1) + key(b"a", 7, b"\2"),
    "alignment": header(0, 1) + key(b"general.alignment", 4, struct.pack("<I", 33)),
    "tensor type": header(1, 0) + key(b"t", 1, struct.pack("<QIQ", 4, 99, 0)) + bytes(64),
    "zero dimension": header(1, 0) + key(b"t", 1, struct.pack("<QIQ", 0, 0, 0)) + bytes(64),
    "five dimensions": header(1, 0) + key(b"t", 5, struct.pack("<5QIQ", 1, 1, 1, 1, 1, 0, 0)) + bytes(64),
    "overflow": header(1, 0) + key(b"t", 2, struct.pack("<2QIQ", 2**32, 2**32, 0, 0)) + bytes(64),
    "offset": header(1, 0) + key(b"t", 1, struct.pack("<QIQ", 4, 0, HUGE)) + bytes(64),
    "escape": header(0, 1) + key(b"\x1b[2J\nname", 99) + bytes(64),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_gives_one_line_with_path_and_byte(tmp_path, name):
    path = tmp_path / "broken.gguf"
    path.write_bytes(BROKEN[name])
    line = assert_refused(path, f"{path}: ", ", at byte ")
    assert line.isprintable()


def test_a_truncated_file_says_what_is_missing(tmp_path):
    path = tmp_path / "all.gguf"
    write_model(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1000])
    assert_refused(path, "tensor ", " bytes are missing")


def test_what_is_no_file_is_refused(tmp_path):
    assert_refused(tmp_path / "none.gguf", "none.gguf: no such file")
    assert_refused(tmp_path, "is a folder")
    os.mkfifo(tmp_path / "pipe")
    assert_refused(tmp_path / "pipe", "is not a regular file")
    assert_refused("/dev/null", "is not a regular file")
