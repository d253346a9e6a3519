"""`quern bench`: the numbers it gives and that they fit together."""

import json

import pytest

from program import SMOLLM2, STORIES, complaint, needs_smollm2, quern


def bench(*arguments):
    return json.loads(quern("bench", "-m", STORIES, "--json", *arguments).stdout)


def test_json_holds_the_speeds_and_what_they_were_measured_on():
    result = bench("-p", "64", "-n", "16", "-t", "1", "-r", "2")
    assert result["pp64"] > 0 and result["tg16"] > 0
    assert result["n_threads"] == 1
    assert result["isa"] in ("scalar", "avx2", "avx512")
    assert result["size"] == STORIES.stat().st_size
    assert result["model"]
    assert 0.1 < result["read_gb_s"] < 10000
    assert result["roofline"] == pytest.approx(result["gb_s"] / result["read_gb_s"])
    assert len(result["samples"]["pp64"]) == len(result["samples"]["tg16"]) == 2


def test_several_lengths_give_several_rows_and_0_gives_none():
    result = bench("-p", "8,16", "-n", "0", "-r", "1")
    assert set(result["samples"]) == {"pp8", "pp16"}
    assert "roofline" not in result
    assert set(bench("-p", "0", "-n", "4", "-r", "1")["samples"]) == {"tg4"}


def test_the_median_counts():
    result = bench("-p", "16", "-n", "0", "-r", "3")
    assert result["pp16"] == pytest.approx(sorted(result["samples"]["pp16"])[1])


def test_the_instruction_set_may_be_chosen():
    assert json.loads(quern("bench", "-m", STORIES, "-o", "json", "-p", "8", "-n", "4", "-r", "1", env={"QUERN_CPU": "scalar"}).stdout)["isa"] == "scalar"


def test_the_table_is_for_people():
    table = quern("bench", "-m", STORIES, "-p", "8", "-n", "4", "-r", "1").stdout
    assert "pp8" in table and "tg4" in table and "tok/s" in table and "%" in table


@pytest.mark.parametrize("flags, words", [(["-p", "-1"], "-p"), (["-r", "0"], "repetitions"), (["-o", "sql"], "json"), (["-p", "x"], "x")])
def test_wrong_flags_are_said(flags, words):
    assert words in complaint("bench", "-m", STORIES, *flags)


@needs_smollm2
def test_a_real_model_reads_no_more_than_the_memory_gives():
    result = json.loads(quern("bench", "-m", SMOLLM2, "--json", "-p", "32", "-n", "32", "-r", "1").stdout)
    assert 0.02 < result["roofline"] < 1.3  # its 98 MB may live in a large cache in part
