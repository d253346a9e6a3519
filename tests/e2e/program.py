"""The quern program under test, and the models to run it with.

QUERN names the binary (default: build/quern), QUERN_STORIES the small model (default: the one in tests/golden),
QUERN_SMOLLM2 a real one (default: where scripts/fetch_default_model.py puts it).
"""

import os
import pathlib
import pty
import select
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUERN = pathlib.Path(os.environ.get("QUERN", ROOT / "build" / "quern"))
STORIES = pathlib.Path(os.environ.get("QUERN_STORIES", ROOT / "tests" / "golden" / "stories260K.gguf"))
GOLDEN_TEXT = ROOT / "tests" / "golden" / "stories260K_greedy_200.txt"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
SMOLLM2 = pathlib.Path(os.environ.get("QUERN_SMOLLM2", CACHE / "quern" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"))

needs_smollm2 = pytest.mark.skipif(not SMOLLM2.exists(), reason=f"{SMOLLM2} is missing: scripts/fetch_default_model.py fetches it")


def quern(*arguments, check=True, stdin="", timeout=120, env=None):
    """Runs quern with text in and out."""
    done = subprocess.run([str(QUERN), *map(str, arguments)], input=stdin, capture_output=True, text=True, encoding="utf-8",
                          timeout=timeout, env={**os.environ, **(env or {})})
    if check:
        assert done.returncode == 0, done.stderr
    return done


def complaint(*arguments, printed=False, **options):
    """The one line on standard error of a run that has to fail as the user's fault, before it prints anything unless `printed`."""
    done = quern(*arguments, check=False, **options)
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert printed or done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("quern"), done.stderr
    return done.stderr


class Terminal:
    """quern on a terminal of its own, where keys can be pressed."""

    def __init__(self, *arguments):
        self.seen = ""
        self.status = None
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(QUERN, [str(QUERN), *map(str, arguments)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self.descriptor)

    def press(self, keys):
        os.write(self.descriptor, keys.encode())

    def read(self, seconds):
        """What appears within the time; "" when nothing does."""
        if not select.select([self.descriptor], [], [], seconds)[0]:
            return ""
        try:
            more = os.read(self.descriptor, 65536).decode(errors="replace")
        except OSError:  # the program has gone
            more = ""
        self.seen += more
        return more

    def wait_for(self, text, timeout=30):
        """Reads on until `text` has appeared since the last call."""
        start = time.monotonic()
        while text not in self.seen:
            self.read(0.1)
            assert time.monotonic() - start < timeout, f"no {text!r} in {self.seen!r}"
        before, self.seen = self.seen.split(text, 1)
        return before

    def exit_code(self, timeout=10):
        start = time.monotonic()
        while self.status is None:
            self.read(0.05)
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.status = status
            assert time.monotonic() - start < timeout, f"still running: {self.seen!r}"
        while self.read(0):
            pass
        return os.waitstatus_to_exitcode(self.status)
