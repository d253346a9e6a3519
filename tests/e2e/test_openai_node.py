"""Runs node/openai.test.js, the official JavaScript client, against `quern serve`."""

import os
import pathlib
import shutil
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).parent / "node"


@pytest.mark.skipif(shutil.which("npm") is None, reason="node and npm are not installed")
def test_the_javascript_client(smollm2_server, tiny_bert_server):
    if not (FOLDER / "node_modules" / "openai").exists():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=FOLDER, check=True, timeout=250)
    done = subprocess.run(["node", "--test"], cwd=FOLDER, env={**os.environ, "QUERN_URL": smollm2_server.url, "QUERN_EMBEDDING_URL": tiny_bert_server.url}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    n_tests = (FOLDER / "openai.test.js").read_text().count("\ntest(")
    assert f"pass {n_tests}" in done.stdout
