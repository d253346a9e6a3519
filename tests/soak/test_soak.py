"""A minute of the soak test, and faults that it has to find. `make soak` runs it for long."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
from soak import INJECTIONS, soak  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_minute_of_everything_at_once():
    assert soak(["--seconds", "60", "--pause-every", "10", "--compare-seconds", "30"])


@pytest.mark.parametrize("fault", [fault for fault in INJECTIONS if fault != "none"])
def test_the_soak_test_finds(fault):
    assert not soak(["--seconds", "16", "--pause-every", "3", "--compare-seconds", "10", "--clients", "6", "--inject", fault])
