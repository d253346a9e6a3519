#!/usr/bin/env python3
"""Checks the rules of the tree that no compiler checks, and prints one line for each breach.

Include direction, file length, where CUDA, printing and the environment may occur, names, and places. docs/architecture.md says why.
"""

import pathlib
import re
import sys

MAX_LINES = 400
# path: why it may be longer
LONG_FILES: dict[str, str] = {
    "src/kernels/quant/i/iq_grids.cpp": "tables made by scripts/make_iq_tables.py",
}

# Each folder of src/ and the ones next to its right; it may include those, theirs in turn, and itself.
NEXT_FOLDERS = {
    "tools": ["server", "convert", "hub"],
    "server": ["engine", "text"],
    "engine": ["models", "sampling"],
    "models": ["graph", "gguf"],
    "graph": ["backend"],
    "backend": ["kernels"],
    "kernels": ["tensor"],
    "gguf": ["tensor"],
    "convert": ["models", "kernels", "gguf", "text"],
    "sampling": ["text"],
    "text": ["base"],
    "tensor": ["base"],
    "hub": ["base"],
    "base": [],
}

SOURCE_SUFFIXES = {".cpp", ".h", ".cu", ".cuh"}
# Beside src/ and its folders, C++ lives only here.
OTHER_SOURCE_FOLDERS = ("tests/", "bench/")
EMPTY_NAMES = {"util", "utils", "common", "helper", "helpers", "manager", "impl", "misc"}

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
CUDA_HEADER = re.compile(r"^(cuda|cublas|cusparse|cudnn|nccl|nvml|nvrtc|mma\.h)")
PRINTING = re.compile(r"\b(?:printf|fprintf|vprintf|puts|fputs|putchar|perror|abort|_exit|quick_exit)\s*\(|\bstd\s*::\s*(?:cout|cerr|clog|exit|terminate)\b")
ENVIRONMENT = re.compile(r"\b(?:getenv|secure_getenv|setenv|putenv)\s*\(")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
TOKENS = re.compile(
    r'R"(?P<tag>[^()\\ ]{0,16})\((?:.|\n)*?\)(?P=tag)"' r"|//[^\n]*|/\*(?:.|\n)*?\*/" r'|"(?:\\.|[^"\\\n])*"' r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'"
)


def reachable(folder: str) -> set[str]:
    """The folder and all to its right."""
    found, waiting = set(), [folder]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += NEXT_FOLDERS[current]
    return found


def code_only(text: str) -> str:
    """The text without comments and literals, line for line."""
    return TOKENS.sub(lambda match: "\n" * match.group().count("\n"), text)


def lines_with(pattern: re.Pattern, text: str) -> list[int]:
    return [text.count("\n", 0, match.start()) + 1 for match in pattern.finditer(text)]


def check_length(path: str, text: str) -> list[str]:
    n_lines = text.count("\n") + (not text.endswith("\n"))
    if n_lines > MAX_LINES and path not in LONG_FILES:
        return [f"{path}: {n_lines} lines, at most {MAX_LINES}: split it, or list it in scripts/check_tree.py with a reason"]
    if n_lines <= MAX_LINES and path in LONG_FILES:
        return [f"{path}: is listed as long in scripts/check_tree.py and no longer is: take it off the list"]
    return []


def check_place(path: str) -> list[str]:
    parts = path.split("/")
    if parts[0] == "src":
        if len(parts) < 3:
            return [f"{path}: sources stand in a folder of src/"]
        if parts[1] not in NEXT_FOLDERS:
            return [f"{path}: src/{parts[1]} is not a folder of the architecture"]
        return []
    return [] if path.startswith(OTHER_SOURCE_FOLDERS) else [f"{path}: C++ stands in src/, tests/ or bench/"]


def check_name(path: str) -> list[str]:
    breaches = []
    for part in path.split("/"):
        stem = part.split(".")[0]
        bad = EMPTY_NAMES.intersection(stem.split("_"))
        if bad:
            breaches.append(f"{path}: a name with \"{bad.pop()}\" says nothing: name what it is")
        if not re.fullmatch(r"[a-z0-9_]*", stem):
            breaches.append(f"{path}: file and folder names are snake_case")
    return breaches


def check_includes(path: str, text: str) -> list[str]:
    breaches = []
    folder = path.split("/")[1] if path.startswith("src/") else None
    cuda_may_occur = path.endswith((".cu", ".cuh")) or path.startswith("src/backend/cuda/")
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        quote, target = match.groups()
        if CUDA_HEADER.match(target) and not cuda_may_occur:
            breaches.append(f"{path}:{line}: CUDA header {target}: only in .cu, .cuh and src/backend/cuda/")
        if quote == "<" or folder not in NEXT_FOLDERS:
            continue
        wanted = target.split("/")[0]
        if wanted not in NEXT_FOLDERS or "/" not in target:
            breaches.append(f"{path}:{line}: \"{target}\": own headers are included by their path from src/")
        elif wanted not in reachable(folder):
            breaches.append(f"{path}:{line}: {folder}/ may not include {wanted}/: it does not stand to its right")
    return breaches


def check_words(path: str, text: str) -> list[str]:
    breaches = [f"{path}:{line}: unfinished" for line in lines_with(UNFINISHED, text)]
    if not path.startswith("src/") or path.startswith("src/tools/") or path.endswith("_test.cpp"):
        return breaches
    code = code_only(text)
    breaches += [f"{path}:{line}: the library does not print or end the program: log or throw" for line in lines_with(PRINTING, code)]
    breaches += [f"{path}:{line}: the environment is read in src/tools/ only" for line in lines_with(ENVIRONMENT, code)]
    return breaches


def check_header(path: str, text: str) -> list[str]:
    if not path.endswith((".h", ".cuh")):
        return []
    breaches = []
    if "#pragma once" not in text:
        breaches.append(f"{path}: a header has #pragma once")
    if not text.startswith("//"):
        breaches.append(f"{path}: a header opens by saying what it is")
    return breaches


def check_file(path: str, text: str) -> list[str]:
    """All breaches of one source, given by its path from the root."""
    return (check_place(path) + check_name(path) + check_length(path, text) + check_includes(path, text) + check_words(path, text)
            + check_header(path, text))


def sources(root: pathlib.Path) -> list[pathlib.Path]:
    skipped = re.compile(r"^(build.*|\..*|node_modules)$")
    return [path for path in sorted(root.rglob("*"))
            if path.suffix in SOURCE_SUFFIXES and path.is_file()
            and not any(skipped.match(part) for part in path.relative_to(root).parts[:-1])]


def check_tree(root: pathlib.Path) -> list[str]:
    breaches = []
    for path in sources(root):
        breaches += check_file(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
    return breaches


def main() -> None:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[1])
    breaches = check_tree(root)
    print("\n".join(breaches), end="\n" if breaches else "")
    print(f"check_tree: {len(sources(root))} files, {len(breaches)} breaches")
    sys.exit(1 if breaches else 0)


if __name__ == "__main__":
    main()
