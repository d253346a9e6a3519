#!/usr/bin/env python3
"""Writes tests/golden/quant_decode.bin: blocks of every format and the values that the `gguf` package decodes them to.

Layout, little endian, for each format: u32 id, u32 n_bytes, u32 n_values, the bytes, the values as f32.
Blocks are random bytes with edge scales put in: zero, negative zero, negative, subnormal, the largest and the smallest normal.
"""

import pathlib
import struct
import sys

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import dequantize

EDGE_SCALES = [0x0000, 0x8000, 0x3C00, 0xBC00, 0x0001, 0x83FF, 0x7BFF, 0xFBFF, 0x0400, 0x2E66]
N_RANDOM = 6
# MXFP4's exponents: the two that are subnormal, the least normal, one, and the largest that keeps 12 times it finite.
EDGE_EXPONENTS = [0, 1, 2, 127, 128, 252]

# Bytes of a block, and where its f16 scales (and minimums) start.
FORMATS = {
    Type.F32: (4, []),
    Type.F16: (2, [0]),
    Type.BF16: (2, []),
    Type.Q4_0: (18, [0]),
    Type.Q4_1: (20, [0, 2]),
    Type.Q5_0: (22, [0]),
    Type.Q5_1: (24, [0, 2]),
    Type.Q8_0: (34, [0]),
    Type.Q2_K: (84, [80, 82]),
    Type.Q3_K: (110, [108]),
    Type.Q4_K: (144, [0, 2]),
    Type.Q5_K: (176, [0, 2]),
    Type.Q6_K: (210, [208]),
    Type.IQ4_NL: (18, [0]),
    Type.IQ4_XS: (136, [0]),
    Type.IQ3_XXS: (98, [0]),
    Type.IQ3_S: (110, [0]),
    Type.IQ2_XXS: (66, [0]),
    Type.IQ2_XS: (74, [0]),
    Type.IQ2_S: (82, [0]),
    Type.IQ1_S: (50, [0]),
    Type.IQ1_M: (56, []),
    Type.TQ1_0: (54, [52]),
    Type.TQ2_0: (66, [64]),
    Type.MXFP4: (17, []),
}


def blocks_of(kind: Type, rng: np.random.Generator) -> np.ndarray:
    size, scale_places = FORMATS[kind]
    if kind == Type.F32:
        return rng.standard_normal(32).astype("<f4").view(np.uint8)
    if kind == Type.BF16:
        finite = np.array([0x0000, 0x8000, 0x3F80, 0xC000, 0x0001, 0x7F7F, 0xFF7F, 0x0080], dtype="<u2")
        return finite.view(np.uint8)
    blocks = rng.integers(0, 256, (len(EDGE_SCALES) + N_RANDOM, size), dtype=np.uint8)
    for row, block in enumerate(blocks):
        for order, place in enumerate(scale_places):
            if row < len(EDGE_SCALES):
                half = EDGE_SCALES[(row + 3 * order) % len(EDGE_SCALES)]
            else:
                half = int(np.float16(rng.standard_normal() * 0.02).view(np.uint16))
            block[place : place + 2] = np.frombuffer(struct.pack("<H", half), dtype=np.uint8)
        if kind == Type.MXFP4:
            block[0] = EDGE_EXPONENTS[row % len(EDGE_EXPONENTS)]
        if kind == Type.IQ1_M:  # a quarter of the f16 on top of each of four numbers
            half = EDGE_SCALES[row % len(EDGE_SCALES)]
            for quarter in range(4):
                block[49 + 2 * quarter] = (int(block[49 + 2 * quarter]) & 15) | (half >> 4 * quarter & 15) << 4
    return blocks.reshape(-1)


def main() -> None:
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "tests/golden/quant_decode.bin")
    rng = np.random.default_rng(20240607)
    with out.open("wb") as file:
        for kind in FORMATS:
            data = blocks_of(kind, rng)
            values = np.asarray(dequantize(data.view("<f4") if kind == Type.F32 else data.view("<f2") if kind == Type.F16 else data, kind))
            values = values.astype("<f4").reshape(-1)
            assert np.isfinite(values).all(), kind
            file.write(struct.pack("<III", kind.value, data.nbytes, values.size))
            file.write(data.tobytes())
            file.write(values.tobytes())


if __name__ == "__main__":
    main()
