"""A minute of the soak test, and faults that it has to find, each for what it is. `make soak` runs it for long."""

import re

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
from soak import INJECTIONS, soak  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# What a fault must be called, and what may be said beside it.
FINDINGS = {
    "files": ("n_files grew", None),
    "memory": ("anonymous_kib grew", None),
    "answers": ("another answer", None),
    "pages": ("pages were not given back", "a quiet server does not unload smol"),
    "error": ("/injected 500", None),
    "death": ("the server ended by itself with -9", "a connection failed|the server could not be looked at|only [0-9]+ answers were compared on a fresh server"),
}


def test_a_minute_of_everything_at_once():
    assert soak(["--seconds", "60", "--pause-every", "8", "--compare-seconds", "30"]) == []


def test_every_fault_has_its_finding():
    assert {"none", *FINDINGS} == set(INJECTIONS)


@pytest.mark.parametrize("fault", FINDINGS)
def test_the_soak_test_finds(fault):
    found = soak(["--seconds", "16", "--pause-every", "3", "--compare-seconds", "10", "--clients", "6", "--inject", fault])
    expected, beside = FINDINGS[fault]
    assert any(re.match(expected, problem) for problem in found), found
    assert [problem for problem in found if not re.match(expected, problem) and not (beside and re.match(beside, problem))] == []
