#!/usr/bin/env python3
"""Compares quern's encoders with llama.cpp's: weighted error and speed for every format, on several distributions of values.

    scripts/compare_encoders.py --ggml LIBGGML_BASE.so [--driver build/encode_rows] [--model MODEL_F32.gguf] [FORMAT ...]

LIBGGML_BASE.so is the library of a llama.cpp build that has ggml_quantize_chunk(), which is what llama-quantize calls for each tensor. Values
are Gaussian, Student's t (3 degrees), Laplace and, with --model, rows of a real model. "+w" are with an importance vector; the error is
then weighted with it. Prints ours / theirs: below 1 is better than llama.cpp, for errors as for times. Decoding is the gguf package's.
Formats that llama.cpp refuses without importances are compared with them only. Ends with 1 if an error is more than 0.2 % above.
"""

import argparse
import ctypes
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, dequantize, quant_shape_to_byte_shape

FORMATS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS",
           "IQ3_S", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4"]
NEED_IMPORTANCE = {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS"}
N_COLS = 2048
NOISE = 1.002


class Peer:
    def __init__(self, path: str):
        self.library = ctypes.CDLL(path)
        self.library.ggml_quantize_chunk.restype = ctypes.c_size_t
        self.library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64,
                                                     ctypes.c_void_p]

    def encode(self, kind: Type, x: np.ndarray, importance: np.ndarray | None, repeats: int) -> tuple[np.ndarray, float]:
        out = np.zeros(quant_shape_to_byte_shape(x.shape, kind), np.uint8)
        self.library.ggml_quantize_init(kind.value)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            self.library.ggml_quantize_chunk(kind.value, x.ctypes.data, out.ctypes.data, 0, x.shape[0], x.shape[1],
                                             importance.ctypes.data if importance is not None else None)
            times.append(time.perf_counter() - start)
        return out, min(times)


class Quern:
    def __init__(self, driver: str, isa: str):
        self.driver, self.isa = driver, isa
        self.folder = pathlib.Path(tempfile.mkdtemp())

    def encode(self, kind: Type, x: np.ndarray, importance: np.ndarray | None, repeats: int) -> tuple[np.ndarray, float]:
        values, weights, blocks = (self.folder / name for name in ("values", "weights", "blocks"))
        x.tofile(values)
        if importance is not None:
            importance.tofile(weights)
        done = subprocess.run([self.driver, str(kind.value), self.isa, str(x.shape[1]), values, "-" if importance is None else weights, blocks,
                               str(repeats)], capture_output=True, text=True, check=True)
        return np.fromfile(blocks, np.uint8).reshape(quant_shape_to_byte_shape(x.shape, kind)), float(done.stdout)


def model_rows(path: str, n_rows: int) -> np.ndarray:
    """Rows of N_COLS values from all matrices of a model in F32, as many from each."""
    matrices = [t for t in GGUFReader(path).tensors if len(t.shape) == 2 and t.tensor_type == Type.F32]
    share = -(-n_rows // len(matrices)) * N_COLS
    return np.concatenate([np.asarray(t.data).reshape(-1)[:share] for t in matrices])[: n_rows * N_COLS].reshape(-1, N_COLS).astype(np.float32)


def samples(n_rows: int, model: str | None) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    shape = (n_rows, N_COLS)
    out = {
        "gauss": rng.standard_normal(shape) * 0.02,
        "student": rng.standard_t(3, shape) * 0.02,
        "laplace": rng.laplace(size=shape) * 0.02,
    }
    if model:
        out["real"] = model_rows(model, n_rows)
    return {name: np.ascontiguousarray(x, np.float32) for name, x in out.items()}


def weighted_rmse(x: np.ndarray, blocks: np.ndarray, kind: Type, importance: np.ndarray | None) -> float:
    difference = (dequantize(blocks, kind).astype(np.float64) - x) ** 2
    return float(np.sqrt(np.mean(difference if importance is None else difference * importance)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ggml", required=True)
    parser.add_argument("--driver", default="build/encode_rows")
    parser.add_argument("--isa", default="avx512")
    parser.add_argument("--model")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=1, help="passes; the fastest counts")
    parser.add_argument("formats", nargs="*")
    args = parser.parse_args()
    inputs = samples(args.rows, args.model)
    importance = np.random.default_rng(2).chisquare(1, N_COLS).astype(np.float32) + np.float32(0.02)
    peer, quern = Peer(args.ggml), Quern(args.driver, args.isa)
    columns = [(name, weights) for name in inputs for weights in (None, importance)]
    print(f"{'format':8}" + "".join(f"{name + ('' if weights is None else '+w'):>11}" for name, weights in columns) + f"{'time':>9}  ns/value (theirs)")
    worse = 0
    for name in args.formats or FORMATS:
        kind = Type[name]
        cells, our_time, their_time, n_values = [], 0.0, 0.0, 0
        for sample, weights in columns:
            if weights is None and name in NEED_IMPORTANCE:
                cells.append(f"{'-':>11}")
                continue
            x = inputs[sample]
            ours, ours_s = quern.encode(kind, x, weights, args.repeats)
            theirs, theirs_s = peer.encode(kind, x, weights, args.repeats)
            ratio = weighted_rmse(x, ours, kind, weights) / weighted_rmse(x, theirs, kind, weights)
            worse += ratio > NOISE
            cells.append(f"{ratio:10.4f}" + ("!" if ratio > NOISE else " "))
            our_time, their_time, n_values = our_time + ours_s, their_time + theirs_s, n_values + x.size
        print(f"{name:8}" + "".join(cells) + f"{our_time / their_time:9.3f}  {our_time / n_values * 1e9:.2f} ({their_time / n_values * 1e9:.2f})", flush=True)
    print(f"{worse} errors are more than {NOISE - 1:.1%} above llama.cpp's")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
