#!/usr/bin/env python3
"""How long `quern convert` takes for a Hugging Face folder, beside convert_hf_to_gguf.py and a quantizer: wall clock, warm page cache, peak memory.

    bench/convert.py MODEL_DIR --quern build/quern -t 2 \
        --script "python llama.cpp/convert_hf_to_gguf.py {dir} --outtype {type} --outfile {out}" --quantizer "llama-quantize {in} {out} Q4_K_M 2"

Either command may be left out. Each runs as often as --repeat says and the best time counts; memory is the largest resident set of any run, mapped pages of
the model's files included.
"""

import argparse
import os
import pathlib
import shlex
import tempfile
import time

GIB = 1 << 30


def run(command):
    """Seconds and peak bytes of one run, which must succeed."""
    start = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    seconds = time.monotonic() - start
    if status != 0:
        raise SystemExit(f"failed: {shlex.join(command)}")
    return seconds, usage.ru_maxrss * 1024


def best(repeat, *commands):
    """Of one run after the other, as often as asked for: the least seconds, and the most memory."""
    runs = [[run(command) for command in commands] for _ in range(repeat)]
    return min(sum(seconds for seconds, _ in each) for each in runs), max(n_bytes for each in runs for _, n_bytes in each)


def words(template, **values):
    return [word.format(**values) for word in shlex.split(template)]


def warm(folder):
    for path in folder.iterdir():
        if path.is_file():
            with open(path, "rb") as file:
                while file.read(1 << 24):
                    pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--quern", default="build/quern")
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    parser.add_argument("--types", default="f16,q8_0,q4_k_m", help="comma-separated; the script makes f16 and q8_0 by itself, the rest through f16")
    parser.add_argument("--script", default="", help="command with {dir}, {type} and {out}")
    parser.add_argument("--quantizer", default="", help="command with {in} and {out}, for what the script cannot make")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--tmp", default=None, help="where the files go")
    flags = parser.parse_args()
    warm(flags.folder)
    with tempfile.TemporaryDirectory(dir=flags.tmp) as folder:
        ours, theirs, between = (f"{folder}/{name}.gguf" for name in ("ours", "theirs", "between"))
        print(f"{'type':8} {'quern':>9} {'memory':>10} {'script':>9} {'memory':>10} {'ratio':>7}")
        for kind in flags.types.split(","):
            seconds, n_bytes = best(flags.repeat, [flags.quern, "convert", str(flags.folder), "--outtype", kind, "-t", str(flags.threads), "--outfile", ours])
            line = f"{kind:8} {seconds:7.2f} s {n_bytes / GIB:6.2f} GiB"
            direct = kind in ("f32", "f16", "bf16", "q8_0")
            if flags.script and (direct or flags.quantizer):
                commands = [words(flags.script, dir=flags.folder, type=kind if direct else "f16", out=theirs if direct else between)]
                if not direct:
                    commands.append(words(flags.quantizer, **{"in": between, "out": theirs}))
                other, other_bytes = best(flags.repeat, *commands)
                line += f" {other:7.2f} s {other_bytes / GIB:6.2f} GiB {other / seconds:6.2f}x"
            print(line, flush=True)
            for path in (ours, theirs, between):
                pathlib.Path(path).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
