"""The bench's rows: whose figure is the better one, and what is told where something is missing."""

import importlib

import pytest

from bench.__main__ import PARTS
from bench.measured import HEAD, Row, Sample, in_turns, line


def samples(*figures: float) -> list[Sample]:
    return [Sample(figure) for figure in figures]


def test_of_rates_the_ratio_is_ours_in_theirs_by_the_medians() -> None:
    row = Row("append", "events/s", samples(900, 400, 500), "other", samples(10, 90, 20))
    assert row.ratio == 500 / 20


def test_of_times_the_ratio_is_theirs_in_ours() -> None:
    row = Row("p99", "ms", samples(20), "other", samples(60), less=True)
    assert row.ratio == 3


@pytest.mark.parametrize(("wanted", "reached"), [(5.0, True), (5.1, False), (None, None)])
def test_what_is_wanted_is_reached_or_not(wanted: float | None, reached: bool | None) -> None:
    row = Row("append", "events/s", samples(50), "other", samples(10), ratio_min=wanted)
    assert row.reached is reached


@pytest.mark.parametrize(("figure", "reached"), [(50, True), (51, False)])
def test_a_figure_may_have_a_limit_of_its_own(figure: float, reached: bool) -> None:
    assert Row("visible", "ms", samples(figure), most=50).reached is reached


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    row = Row("append", "events/s", samples(50), "UmaDB", ratio_min=4, note="not installed")
    assert row.ratio is None
    assert row.reached is None
    assert row.document("append")["other"] is None
    assert "not installed" in line(row)
    assert "not measured" in line(Row("append", "events/s", [], note="failed"))


def test_a_line_has_the_cells_of_the_head() -> None:
    row = Row("append", "events/s", samples(1, 2, 3), "other", samples(4), ratio_min=1)
    assert line(row).count("|") == HEAD[0].count("|") == HEAD[1].count("|")


def test_contenders_run_in_turns() -> None:
    told: list[str] = []

    def way(name: str) -> Sample:
        told.append(name)
        return Sample(len(told))

    found = in_turns({"a": lambda: way("a"), "b": lambda: way("b")}, 2)
    assert told == ["a", "b", "a", "b"]
    assert [one.figure for one in found["b"]] == [2, 4]


@pytest.mark.parametrize("name", PARTS)
def test_every_part_has_rows_and_says_what_it_measures(name: str) -> None:
    part = importlib.import_module(PARTS[name])
    assert callable(part.rows)
    assert part.__doc__
