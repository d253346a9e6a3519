#!/usr/bin/env python3
"""Measures quern beside a peer program in the same minute, runs in turn, and prints ratios.

The peer is any program with these calls, each printing as described:
  PEER bench MODEL -t T -p P -n N -r 1     one JSON object with keys ppP and tgN (tokens per second)
  PEER greedy MODEL -t T -n N -x TEXT      the text, then a last line with the token ids
  PEER logits MODEL -t T -x TEXT -o FILE   f32 logits of the last token

  compare.py speed  --peer PEER MODEL...   generation and prompt speed
  compare.py greedy --peer PEER MODEL      64 greedy tokens of 10 prompts; the first difference is shown with its gap in logits
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile

import numpy as np

PROMPTS = [
    "Once upon a time", "The capital of France is", "def fibonacci(n):", "Water boils at", "In 1969, the first", "The three primary colours are",
    "Dear Sir or Madam,", "To make a cup of tea, you", "The largest planet in the solar system", "1, 2, 3, 4,",
]


def output(command):
    return subprocess.run(command, check=True, capture_output=True, timeout=900).stdout.decode("utf-8", "replace")


def speed(args):
    pp, tg = f"pp{args.prompt}", f"tg{args.generate}"
    for model in args.models:
        ours, theirs = [], []
        for _ in range(args.repeat):  # in turn, so that drift of the machine meets both
            common = [model, "-t", str(args.threads), "-p", str(args.prompt), "-n", str(args.generate), "-r", "1"]
            ours.append(json.loads(output([args.quern, "bench", "-m", *common, "--json"])))
            theirs.append(json.loads(output([args.peer, "bench", *common])))
        print(f"{os.path.basename(model)}, {args.threads} threads, median of {args.repeat} runs in turn")
        for key in (pp, tg):
            a, b = (statistics.median(run[key] for run in runs) for runs in (ours, theirs))
            pairs = sorted(x[key] / y[key] for x, y in zip(ours, theirs))
            print(f"  {key:6} quern {a:8.2f}  peer {b:8.2f} tok/s  ratio {statistics.median(pairs):.3f} ({pairs[0]:.3f} to {pairs[-1]:.3f})")
        share = statistics.median(run["roofline"] for run in ours)
        print(f"  {tg} moves {statistics.median(run['gb_s'] for run in ours):.1f} GB/s, {share:.0%} of the measured read bandwidth")


def common_tokens(args, model, ids, ours):
    """The longest text of the peer's first tokens that our text begins with: where the two choose differently for the first time."""
    lines = "\n".join(json.dumps(ids[:n]) for n in range(len(ids) + 1))
    command = [args.quern, "tokenize", "-m", model, "--jsonl", "--detokenize"]
    texts = subprocess.run(command, input=lines, check=True, capture_output=True, text=True).stdout.splitlines()
    return [text for text in map(json.loads, texts) if ours.startswith(text)][-1]


def quern_logits(args, model, text, folder):
    path = os.path.join(folder, "ours.bin")
    prompt = os.path.join(folder, "prompt.txt")
    with open(prompt, "w", encoding="utf-8") as file:
        file.write(text)
    output([args.quern, "run", "-m", model, "-f", prompt, "-n", "0", "--logits-out", path, "-t", str(args.threads)])
    return np.fromfile(path, dtype="<f4")


def peer_logits(args, model, text, folder):
    path = os.path.join(folder, "theirs.bin")
    output([args.peer, "logits", model, "-t", str(args.threads), "-x", text, "-o", path])
    return np.fromfile(path, dtype="<f4")


def greedy(args):
    (model,) = args.models
    equal = 0
    for prompt in PROMPTS:
        theirs, ids = output([args.peer, "greedy", model, "-t", str(args.threads), "-n", "64", "-x", prompt]).rstrip("\n").rsplit("\n", 1)
        ours = output([args.quern, "run", "-m", model, "-t", str(args.threads), "-n", "64", "--temp", "0", "-no-cnv", "--no-display-prompt", "-p", prompt])
        ours, theirs = ours.rstrip("\n"), theirs.rstrip("\n")
        if ours == theirs:
            equal += 1
            print(f"equal      {prompt!r}", flush=True)
            continue
        same = common_tokens(args, model, [int(i) for i in ids.split()], ours)
        with tempfile.TemporaryDirectory() as folder:
            gaps = []
            for logits in (quern_logits(args, model, prompt + same, folder), peer_logits(args, model, prompt + same, folder)):
                top = np.sort(logits)[-2:]
                gaps.append(float(top[1] - top[0]))
        print(f"different  {prompt!r} after {same[-20:]!r}: the best two logits are {gaps[0]:.4f} (quern) and {gaps[1]:.4f} (peer) apart")
        print(f"    quern {ours[len(same):len(same) + 30]!r}\n    peer  {theirs[len(same):len(same) + 30]!r}", flush=True)
    print(f"{equal} of {len(PROMPTS)} equal")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "greedy"])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--peer", required=True)
    parser.add_argument("--quern", default="build/quern")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--generate", type=int, default=64)
    parser.add_argument("-r", "--repeat", type=int, default=5)
    args = parser.parse_args()
    {"speed": speed, "greedy": greedy}[args.what](args)


if __name__ == "__main__":
    main()
