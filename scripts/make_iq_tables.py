#!/usr/bin/env python3
"""Writes src/kernels/quant/i/iq_grids.cpp: the code books of the IQ formats, from the tables that the `gguf` package publishes.

Each entry is 4 or 8 values as bytes of one integer, the first value lowest. The values -1, 0, 1 of the 1-bit formats are stored as
8 (value + 1).
"""

import pathlib
import sys

import numpy as np
from gguf import quants

HEAD = """// The code books of the IQ formats. Made by scripts/make_iq_tables.py from the tables of the `gguf` package; do not edit.
#include "kernels/quant/i/iq_grids.h"

namespace quern {
"""

TABLES = [
    ("iq2_xxs_grid", quants.IQ2_XXS, 8),
    ("iq2_xs_grid", quants.IQ2_XS, 8),
    ("iq2_s_grid", quants.IQ2_S, 8),
    ("iq3_xxs_grid", quants.IQ3_XXS, 4),
    ("iq3_s_grid", quants.IQ3_S, 4),
    ("iq1_grid", quants.IQ1_S, 8),
]


def entries_of(kind: type, width: int) -> list[int]:
    kind.init_grid()
    values = np.asarray(kind.grid, dtype=np.float32).reshape(-1, width).astype(np.int64)
    if values.min() < 0:
        values = 8 * (values + 1)
    assert 0 <= values.min() and values.max() < 64
    return [int.from_bytes(bytes(int(value) for value in row), "little") for row in values]


def text_of(name: str, kind: type, width: int) -> str:
    entries = entries_of(kind, width)
    per_line = 6 if width == 8 else 11
    lines = [f"\nconst uint{8 * width}_t {name}[{len(entries)}] = {{"]
    for at in range(0, len(entries), per_line):
        lines.append("    " + " ".join(f"0x{entry:0{2 * width}x}," for entry in entries[at : at + per_line]))
    return "\n".join(lines) + "\n};\n"


def main() -> None:
    default = pathlib.Path(__file__).parent.parent / "src/kernels/quant/i/iq_grids.cpp"
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    body = "".join(text_of(*table) for table in TABLES)
    out.write_text(HEAD + body + "\n}  // namespace quern\n", encoding="utf-8")


if __name__ == "__main__":
    main()
