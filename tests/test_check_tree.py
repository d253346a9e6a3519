"""Every rule of scripts/check_tree.py lets good code pass and catches bad code."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "check_tree.py"
spec = importlib.util.spec_from_file_location("check_tree", SCRIPT)
check_tree = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_tree)

HEADER = "// What it is.\n#pragma once\n"

GOOD = [
    ("src/base/error.h", HEADER),
    ("src/kernels/matmul/matmul.cpp", '#include "kernels/matmul/matmul.h"\n#include <cmath>\n#include "base/error.h"\n'),
    ("src/tools/run.cpp", '#include "server/http.h"\n#include "text/token.h"\nint main() { printf("x"); getenv("HOME"); }\n'),
    ("src/engine/engine.cpp", '#include "gguf/gguf_file.h"\n#include "sampling/params.h"\n'),
    ("src/convert/convert.cpp", '#include "models/llama.h"\n#include "text/token.h"\n'),
    ("src/backend/cuda/device.h", HEADER + "#include <cuda_runtime.h>\n"),
    ("src/kernels/norm/norm_cuda.cuh", HEADER + "#include <cuda_fp16.h>\n"),
    ("src/kernels/norm/norm.cu", "#include <cuda_bf16.h>\n"),
    ("src/base/log.cpp", '// printf( is not used here, nor getenv(.\nauto s = "abort("; snprintf(s, 1, "%d", 1);\nauto r = R"(puts("x"))";\n'),
    ("src/base/clock_test.cpp", 'int main() { printf("x"); }\n'),
    ("src/text/exact.cpp", "x\n" * 400),
    ("tests/fuzz/fuzz_gguf.cpp", '#include "gguf/gguf_file.h"\n'),
]

BAD = [
    ("src/kernels/a.cpp", '#include "models/llama.h"\n', "may not include models/"),
    ("src/text/a.cpp", '#include "tensor/dtype.h"\n', "may not include tensor/"),
    ("src/sampling/a.cpp", '#include "gguf/metadata.h"\n', "may not include gguf/"),
    ("src/gguf/a.cpp", '#include "kernels/a.h"\n', "may not include kernels/"),
    ("src/engine/a.cpp", '#include "server/a.h"\n', "may not include server/"),
    ("src/server/a.cpp", '#include "hub/a.h"\n', "may not include hub/"),
    ("src/base/a.cpp", '#include "error.h"\n', "by their path from src/"),
    ("src/base/a.cpp", '#include "../text/token.h"\n', "by their path from src/"),
    ("src/base/a.cpp", "x\n" * 401, "401 lines"),
    ("src/kernels/a.cpp", "#include <cuda_runtime.h>\n", "CUDA header"),
    ("src/kernels/a.h", HEADER + "#include <cublas_v2.h>\n", "CUDA header"),
    ("src/backend/cpu/a.cpp", "#include <nccl.h>\n", "CUDA header"),
    ("src/engine/a.cpp", 'void f() { std::getenv("X"); }\n', "environment"),
    ("src/server/a.cpp", 'void f() {\n  printf("x");\n}\n', "src/server/a.cpp:2: the library does not print"),
    ("src/server/a.cpp", 'void f() { std::cerr << "x"; }\n', "does not print"),
    ("src/base/a.cpp", "void f() { std::abort(); }\n", "does not print"),
    ("src/base/a.cpp", "void f() { int n = 1'000; abort(); char c = '\"'; }\n", "does not print"),
    ("src/base/string_utils.cpp", "", "says nothing"),
    ("src/server/common/a.cpp", "", "says nothing"),
    ("src/engine/kv_manager.h", HEADER, "says nothing"),
    ("src/engine/engine_impl.cpp", "", "says nothing"),
    ("src/engine/test_helpers.cpp", "", "says nothing"),
    ("src/engine/PagePool.cpp", "", "snake_case"),
    ("src/engine.cpp", "", "in a folder of src/"),
    ("src/gadgets/a.cpp", "", "not a folder of the architecture"),
    ("tool.cpp", "", "stands in src/"),
    ("scripts/a.cpp", "", "stands in src/"),
    ("src/base/a.h", "// What it is.\n", "#pragma once"),
    ("src/base/a.h", "#pragma once\n", "opens by saying"),
    ("src/base/a.cpp", "// TO" + "DO: later\n", "unfinished"),
]


@pytest.mark.parametrize("path, text", GOOD)
def test_good_code_passes(path, text):
    assert check_tree.check_file(path, text) == []


@pytest.mark.parametrize("path, text, words", BAD)
def test_bad_code_is_caught(path, text, words):
    breaches = check_tree.check_file(path, text)
    assert len(breaches) == 1 and words in breaches[0], breaches


def test_a_listed_long_file_passes_until_it_is_short(monkeypatch):
    monkeypatch.setitem(check_tree.LONG_FILES, "src/base/table.cpp", "a table")
    assert check_tree.check_file("src/base/table.cpp", "x\n" * 500) == []
    assert "take it off the list" in check_tree.check_file("src/base/table.cpp", "x\n")[0]


def test_the_script_reports_breaches_by_its_exit_code(tmp_path):
    (tmp_path / "src" / "base").mkdir(parents=True)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "generated.cpp").write_text("x\n" * 500)
    good = tmp_path / "src" / "base" / "error.h"
    good.write_text(HEADER)
    assert subprocess.run([sys.executable, SCRIPT, tmp_path]).returncode == 0
    good.write_text("#pragma once\n")
    done = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert "src/base/error.h" in done.stdout


def test_every_file_listed_as_long_exists():
    assert [name for name in check_tree.LONG_FILES if not (ROOT / name).is_file()] == []
