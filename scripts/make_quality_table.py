#!/usr/bin/env python3
"""Measures what each type of quern quantize keeps of a model, and writes docs/quality.md.

Needs the packages numpy and gguf (tests/requirements.txt). From a checkout that is built, with a model in F32, F16 or, as a last resort, a quantized one:

    .venv/bin/python scripts/make_quality_table.py --model MODEL.gguf --text wiki.test.raw

--peer PROGRAM adds llama.cpp's files to the table; it is called as `PROGRAM quantize IN OUT TYPE_NUMBER -t THREADS [-im FILE]`, where FILE has a line
`tensor n v1 .. vn` for each tensor of the importance matrix. Results are kept in --work and not measured again.
"""

import argparse
import json
import pathlib
import re
import subprocess
import time

import numpy as np
from gguf import GGUFReader

ROOT = pathlib.Path(__file__).resolve().parents[1]
TYPES = ("Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS Q3_K_L Q3_K_M Q3_K_S IQ3_M IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S "
         "IQ2_M IQ2_S IQ2_XS IQ2_XXS IQ1_M IQ1_S").split()
PLAIN_TYPES = ("Q5_K_M Q4_K_M Q3_K_M Q4_0 Q8_0 IQ4_XS").split()
FIT_LIKE = ("Q5_K_M", "Q4_K_M", "Q3_K_M")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quern", default=ROOT / "build" / "quern", type=pathlib.Path)
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--text", required=True, type=pathlib.Path, help="plain text; its beginning is measured on, another part calibrates")
    parser.add_argument("--chunks", default=8, type=int, help="windows of 512 tokens to measure on")
    parser.add_argument("--calibration-chunk", default=300, type=int, help="where the calibration text begins, in windows")
    parser.add_argument("--calibration-chunks", default=40, type=int)
    parser.add_argument("--peer", type=pathlib.Path)
    parser.add_argument("--types", nargs="*", default=TYPES)
    parser.add_argument("--fit-types", default="", help="another row for --fit with these types only: for models whose weights lie on the grid of some type")
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--work", default=ROOT / "build" / "quality", type=pathlib.Path, help="files and results in between")
    parser.add_argument("--minutes", default=1e9, type=float, help="stop measuring after so long; the next call goes on")
    parser.add_argument("--output", default=ROOT / "docs" / "quality.md", type=pathlib.Path)
    return parser.parse_args()


class Bench:
    def __init__(self, options):
        self.o = options
        options.work.mkdir(parents=True, exist_ok=True)
        self.results_file = options.work / "results.json"
        self.results = json.loads(self.results_file.read_text()) if self.results_file.exists() else {}
        self.base, self.matrix, self.peer_matrix = options.work / "base.kld", options.work / "imatrix.gguf", options.work / "imatrix.txt"
        self.numbers = dict(reversed(m) for m in re.findall(r"^\s+(\d+)\s+([A-Z0-9_]+) ", self.quern("quantize", "--help"), re.M))

    def quern(self, *words):
        return subprocess.run([str(w) for w in (self.o.quern, *words)], check=True, capture_output=True, text=True).stdout

    def prepare(self):
        """The model in F32, its distributions on the text, and the importance matrix in both forms."""
        self.model = self.o.work / "f32.gguf"
        if not self.model.exists():
            self.quern("quantize", "--allow-requantize", self.o.model, self.model, "F32", self.o.threads)
        if not self.matrix.exists():
            self.quern("imatrix", "-m", self.model, "-f", self.o.text, "-o", self.matrix, "--chunk", self.o.calibration_chunk, "--chunks",
                       self.o.calibration_chunks, "--no-ppl", "-t", self.o.threads)
        if not self.base.exists():
            found = json.loads(self.quern("perplexity", "-m", self.model, "-f", self.o.text, "--chunks", self.o.chunks, "--kl-divergence-base",
                                          self.base, "-t", self.o.threads, "--json"))
            self.keep("base", {"ppl": found["ppl"], "bytes": self.model.stat().st_size})
        if not self.peer_matrix.exists():
            tensors = {t.name: t.data.reshape(-1) for t in GGUFReader(self.matrix).tensors}
            with self.peer_matrix.open("w") as out:
                for name, sums in tensors.items():
                    if name.endswith(".in_sum2"):
                        name = name.removesuffix(".in_sum2")
                        print(name, sums.size, *(repr(float(v)) for v in sums / tensors[name + ".counts"]), file=out)
        self.n_values = {t.name: int(np.prod(t.shape)) for t in GGUFReader(self.model).tensors}

    def keep(self, key, result):
        self.results[key] = result
        self.results_file.write_text(json.dumps(self.results, indent=1))

    def measure(self, key, make):
        """Makes a file by make(path), once, and measures it."""
        if key in self.results:
            return
        path = self.o.work / "candidate.gguf"
        path.unlink(missing_ok=True)
        make(path)
        found = json.loads(self.quern("perplexity", "-m", path, "--kl-divergence-base", self.base, "--kl-divergence", "-t", self.o.threads, "--json"))
        differences = json.loads(subprocess.run([self.o.quern, "verify", self.model, "--against", path, "--json"], capture_output=True, text=True).stdout)
        rms = {t["name"]: t["rms"] for t in differences["tensors"]}
        lost = sum(d["rmse"] ** 2 * self.n_values[d["name"]] for d in differences["differences"])
        power = sum(rms[d["name"]] ** 2 * self.n_values[d["name"]] for d in differences["differences"])
        self.keep(key, {"bytes": path.stat().st_size, "rmse": (lost / power) ** 0.5 if power else 0, "kld": found["kl_divergence"]["mean"],
                        "kld_error": found["kl_divergence"]["mean_error"], "same_top": found["same_top"], "ppl": found["ppl"]})
        path.unlink()
        print(key, self.results[key], flush=True)

    def ours(self, kind, matrix):
        flags = ("--imatrix", self.matrix) if matrix else ()
        self.measure(f"ours {kind} {'matrix' if matrix else 'plain'}", lambda path: self.quern("quantize", *flags, self.model, path, kind, self.o.threads))

    def peers(self, kind, matrix):
        flags = ("-im", self.peer_matrix) if matrix else ()
        def make(path):
            subprocess.run([str(w) for w in (self.o.peer, "quantize", self.model, path, self.numbers[kind], "-t", self.o.threads, *flags)], check=True,
                           capture_output=True)
        self.measure(f"peer {kind} {'matrix' if matrix else 'plain'}", make)

    def fit(self, like, matrix, types=""):
        flags = (("--imatrix", self.matrix) if matrix else ()) + (("--fit-types", types) if types else ())
        size = self.results[f"ours {like} {'matrix' if matrix else 'plain'}"]["bytes"]
        self.measure(f"{'limited' if types else 'fit'} {like} {'matrix' if matrix else 'plain'}",
                     lambda path: self.quern("quantize", "--fit", size, *flags, self.model, path, self.o.threads))

    def limited_fit(self, like, matrix):
        self.fit(like, matrix, self.o.fit_types)


def row(label, result, n_weights, peer=None):
    if result is None:
        return None
    cells = [label, f"{8 * result['bytes'] / n_weights:.2f}", f"{100 * result['rmse']:.2f}", f"{result['kld']:.4f}", f"{100 * result['same_top']:.1f}",
             f"{result['ppl']:.3f}"]
    if peer is not None:
        cells += [f"{8 * peer['bytes'] / n_weights:.2f}", f"{100 * peer['rmse']:.2f}", f"{peer['kld']:.4f}", f"{peer['ppl']:.3f}"] if peer else ["", "", "", ""]
    return "| " + " | ".join(cells) + " |"


def table(rows, with_peer):
    head = ["type", "bits per weight", "RMSE, %", "KLD", "same top, %", "PPL"] + (["peer: bits", "peer: RMSE, %", "peer: KLD", "peer: PPL"] if with_peer else [])
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + [r for r in rows if r])


def write(bench):
    o, results = bench.o, bench.results
    n_weights = sum(bench.n_values.values())
    peer = any(key.startswith("peer") for key in results)
    def rows(types, how):
        return [row(t, results.get(f"ours {t} {how}"), n_weights, results.get(f"peer {t} {how}", {}) if peer else None) for t in types]
    fits = []
    for how, label in (("plain", ""), ("matrix", ", importance matrix")):
        for like in FIT_LIKE:
            if f"ours {like} {how}" in results:
                size = results[f"ours {like} {how}"]["bytes"]
                fits += [row(like + label, results[f"ours {like} {how}"], n_weights), row(f"--fit {size}" + label, results.get(f"fit {like} {how}"), n_weights),
                         row(f"--fit {size}, fewer types" + label, results.get(f"limited {like} {how}"), n_weights)]
    error = max((r["kld_error"] / r["kld"] for r in results.values() if r.get("kld", 0) > 1e-3), default=0)
    o.output.write_text(f"""# What each type keeps

Written by `scripts/make_quality_table.py`; anyone can run it on another model. Here: {o.model.name} as F32 ({n_weights / 1e6:.1f} M weights, perplexity
{results['base']['ppl']:.3f}), {o.chunks} windows of 512 tokens of {o.text.name}. Bits per weight are the file's size over all weights. RMSE: of the weights that changed,
relative to their root mean square. KLD: mean KL divergence of the next token's distribution from that of the F32 model, in nats (standard error up to
{100 * error:.0f} % of the value). Same top: how often both expect the same next token most.{" Peer: llama.cpp's files of the same type, measured by the same program." if peer else ""}

This model's rows are 576 long, which blocks of 256 do not divide: most K and IQ types become others of blocks of 32 for all but `ffn_down`, so that its files are larger
than their names say. Its published file is Q4_1: that type, Q5_1 and the types above them find weights that lie on their grid, and lose next to nothing.

## With an importance matrix

`quern imatrix` over {o.calibration_chunks} windows of another part of the text.

{table(rows(o.types, "matrix"), peer)}

## Without one

{table(rows(PLAIN_TYPES, "plain"), peer)}

## Types chosen by --fit

The same size each: the fixed recipe, then `quern quantize --fit`. {f"Since the published file's weights lie on the grid of Q4_1, --fit finds that type and Q5_1 to be all but free; a fairer row is that with fewer types, which may not choose these ({o.fit_types}). The recipe Q5_K_M itself uses Q5_1 for most of this model, and so stays ahead of that row." if o.fit_types else ""}

{table(fits, False)}
""")


def main():
    start = time.monotonic()
    bench = Bench(arguments())
    bench.prepare()
    both = (bench.ours, bench.peers) if bench.o.peer else (bench.ours,)
    fits = (bench.fit, bench.limited_fit) if bench.o.fit_types else (bench.fit,)
    work = [(step, t, m) for m in (False, True) for t in FIT_LIKE for step in (*both, *fits)]
    work += [(step, t, True) for t in bench.o.types for step in both] + [(step, t, False) for t in PLAIN_TYPES for step in both]
    for step, kind, matrix in work:
        if time.monotonic() - start > 60 * bench.o.minutes:
            break
        step(kind, matrix)
    write(bench)


if __name__ == "__main__":
    main()
