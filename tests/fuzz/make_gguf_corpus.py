#!/usr/bin/env python3
"""Writes small GGUF files as seeds for fuzz_gguf: make_gguf_corpus.py FOLDER"""

import pathlib
import struct
import sys

NUMBERS = {0: ("B", 200), 1: ("b", -3), 2: ("H", 60000), 3: ("h", -300), 4: ("I", 1 << 31), 5: ("i", -70000), 6: ("f", 1.5),
           7: ("B", 1), 10: ("Q", 1 << 63), 11: ("q", -1), 12: ("d", 0.25)}
STRING, ARRAY = 8, 9


def text(value):
    return struct.pack("<Q", len(value)) + value


def key(name, kind, value):
    return text(name) + struct.pack("<I", kind) + value


def array(kind, items):
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


def number(kind):
    form, value = NUMBERS[kind]
    return struct.pack("<" + form, value)


def tensor(name, dims, kind, offset):
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def file(keys, tensors=(), data=b"", version=3, alignment=32):
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)
    return out + b"\0" * (-len(out) % alignment) + data


def seeds():
    yield "empty", file([])
    yield "version2", file([key(b"a", 4, number(4))], version=2)
    for kind in NUMBERS:
        yield f"number{kind}", file([key(b"n", kind, number(kind))])
        yield f"array{kind}", file([key(b"n", ARRAY, array(kind, [number(kind)] * 3))])
    yield "strings", file([key(b"general.name", STRING, text(b"seed")), key(b"s", ARRAY, array(STRING, [text(b"one"), text(b"")]))])
    yield "nested", file([key(b"n", ARRAY, array(ARRAY, [array(4, [number(4)]), array(STRING, [text(b"x")]), array(ARRAY, [])]))])
    yield "alignment", file([key(b"general.alignment", 4, struct.pack("<I", 64))], [tensor(b"t", [4], 0, 0)], bytes(16), alignment=64)
    yield "split", file([key(b"split.no", 2, struct.pack("<H", 0)), key(b"split.count", 2, struct.pack("<H", 2))])
    yield "tensors", file([], [tensor(b"a", [8, 2], 0, 0), tensor(b"b", [32, 1, 2], 2, 64), tensor(b"c", [2, 1, 1, 1], 1, 128)], bytes(132))
    yield "blocks", file([], [tensor(b"k", [256], 12, 0), tensor(b"q", [256, 1], 14, 160)], bytes(160 + 210))


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in seeds():
        (folder / f"{name}.gguf").write_bytes(content)


if __name__ == "__main__":
    main()
