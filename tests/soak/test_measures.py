"""What counts as growth."""

import random

import pytest

from measures import Holdings, complaints


def looks(values, name="anonymous_kib"):
    return [Holdings(**{"seconds": 30.0 * i, "anonymous_kib": 8000, "n_threads": 7, "n_files": 12, name: value}) for i, value in enumerate(values)]


def test_memory_that_only_varies_does_not_grow():
    rng = random.Random(1)
    assert complaints(looks([8000 + rng.randint(-1500, 1500) for _ in range(40)])) == []


def test_a_single_outlier_is_no_growth():
    assert complaints(looks([8000] * 30 + [60000] + [8000] * 9)) == []


def test_what_is_taken_at_the_start_is_no_growth():
    assert complaints(looks([2000, 5000, 7000, *[8000] * 20])) == []


@pytest.mark.parametrize("mib", [[10, 21, 32, 36, 47, 51, 52, 49], [8 + i / 5 for i in range(40)]])
def test_memory_that_rises_grows(mib):
    assert [each.split(":")[0] for each in complaints(looks([int(each * 1024) for each in mib]))] == ["anonymous_kib grew"]


@pytest.mark.parametrize("name", ["n_threads", "n_files"])
def test_threads_and_files_that_stay_open_grow(name):
    assert [each.split(":")[0] for each in complaints(looks(range(10, 30), name))] == [name + " grew"]


def test_few_looks_tell_nothing():
    assert complaints(looks([8000] * 5)) == ["too short to tell whether anything grows: looked 5 times"]
