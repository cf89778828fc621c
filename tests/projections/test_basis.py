"""What a view says that its rows rest on: where that is the same, the rows are the same."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.kernel import Impossible, Kind, Refusal
from domain.participant import replay
from projections.catalogue import VIEWS
from projections.view import OfParts, View
from tests import specs
from tests.domain.any_fact import journeys
from tests.domain.test_laws_all import NOW, post
from tests.projections.rows import content as said_by
from tests.specs import Said, Study, lk_23_01, said

WITH_BASIS = [view for view in VIEWS if view.basis is not None]
OF_PARTS = [view for view in VIEWS if isinstance(view.rows, OfParts)]


def content(view: View, study: Study) -> dict[str, bytes]:
    # Folded anew: what states hand on to each other is not asked.
    history = [one for one in study.log if one.participant == specs.WHO]
    rows = view.of(study.trial, replay(specs.WHO, history))
    return {key: said_by(row) for key, row in rows.items()}


def basis(view: View, study: Study) -> tuple[object, ...]:
    assert view.basis is not None
    return view.basis(study.trial, study.participant())


def same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def steps(saids: list[Said], data: st.DataObject) -> Iterator[Study]:
    """The study after each of the facts, and after some of them were taken back or restated."""
    study = Study(lk_23_01())
    study.post(specs.referred)
    study.clock = NOW
    yield study
    for one in saids:
        try:
            post(study, one)
        except (Impossible, Refusal):
            continue
        yield study
        facts = [known for known in study.participant().history if known.kind is Kind.FACT]
        if data.draw(st.booleans()):
            target = data.draw(st.sampled_from(facts)).position
            try:
                study.post(said("retracted", "2027-12-30T00:00:00Z", position=target), now=NOW)
            except Refusal:
                continue
            yield study


@settings(deadline=None, max_examples=15)
@given(saids=journeys, data=st.data())
def test_where_the_basis_is_the_same_so_are_the_rows(saids: list[Said], data: Any) -> None:
    known: dict[str, tuple[tuple[object, ...], dict[str, bytes]]] = {}
    for study in steps(saids, data):
        for view in WITH_BASIS:
            rests_on, rows = basis(view, study), content(view, study)
            before = known.get(view.name)
            if before is not None and same(before[0], rests_on):
                assert rows == before[1]
            known[view.name] = (rests_on, rows)


@settings(deadline=None, max_examples=15)
@given(saids=journeys, data=st.data())
def test_where_a_part_is_equal_so_is_its_row(saids: list[Said], data: Any) -> None:
    known: dict[tuple[str, str], tuple[object, bytes]] = {}
    for study in steps(saids, data):
        for view in OF_PARTS:
            # As live work has it: states hand on to each other what they have told already.
            parts, rows = view.parts(study.trial, study.participant()), content(view, study)
            assert parts is not None
            made = {key: said_by(view.made(specs.WHO, key, one)) for key, one in parts.items()}
            assert made == rows
            for key, part in parts.items():
                before = known.get((view.name, key))
                if before is not None and before[0] == part:
                    assert rows[key] == before[1]
                known[view.name, key] = (part, rows[key])


def test_a_statement_leaves_the_parts_of_what_it_does_not_touch() -> None:
    study = Study(lk_23_01())
    for one in specs.screening:
        study.post(one)
    view = next(view for view in OF_PARTS if view.name == "eligibility")
    before = view.parts(study.trial, study.participant())
    study.post(said("attested", "2026-11-24", statement="breast-feeding", answer=True))
    after = view.parts(study.trial, study.participant())
    assert before is not None
    assert after is not None
    changed = [key.rsplit("/")[-1] for key, part in after.items() if before[key] != part]
    assert changed == ["E13"]


@pytest.mark.parametrize("view", WITH_BASIS, ids=lambda view: view.name)
def test_a_result_leaves_the_basis_as_it_is(view: View) -> None:
    study = Study()
    for one in specs.screening:
        study.post(one)
    before = basis(view, study)
    data = {"code": "egfr", "value": "80", "unit": "mL/min/{1.73_m2}"}
    study.post(said("observation-recorded", "2026-11-24", **data))
    assert same(before, basis(view, study))


@pytest.mark.parametrize("view", WITH_BASIS, ids=lambda view: view.name)
def test_a_correction_of_whatever_kind_does_not(view: View) -> None:
    study = Study()
    for one in specs.screening:
        study.post(one)
    data = {"code": "egfr", "value": "80", "unit": "mL/min/{1.73_m2}"}
    study.post(said("observation-recorded", "2026-11-24", **data))
    observed = study.participant().history[-1]
    before = basis(view, study)
    study.post(said("retracted", "2026-12-30T00:00:00Z", position=observed.position))
    assert not same(before, basis(view, study))


def test_what_happens_after_screening_leaves_the_criteria_alone() -> None:
    study = Study()
    for one in specs.treated:
        study.post(one)
    view = next(view for view in VIEWS if view.name == "eligibility")
    before = basis(view, study)
    study.post(specs.event("AE-1", "2026-12-09T10:00:00Z", grade=2))
    study.post(specs.visit("V2", "2026-12-08"))
    assert same(before, basis(view, study))


def test_each_thing_that_changes_a_criterion_or_the_word_on_them_changes_the_basis() -> None:
    view = next(view for view in VIEWS if view.name == "eligibility")
    changed = set()
    for study in (Study(), Study(lk_23_01())):
        site = said("site-opened", "2026-10-01", "sponsor", site="02", name="B", timezone="UTC")
        study.tell(site)
        study.post(specs.referred)
        rests_on, rows = basis(view, study), content(view, study)
        for one in WALK:
            try:
                study.post(one)
            except Refusal:  # under a protocol with criteria nothing is confirmed here
                continue
            now, made = basis(view, study), content(view, study)
            if made != rows:
                changed.add(one.body.type)
                assert not same(now, rests_on), one.body.type
            rests_on, rows = now, made
    left_alone = {"rescreening-opened", "enrolled", "visit-completed"}
    assert changed >= {one.body.type for one in WALK} - left_alone


WALK = (
    *specs.on_study[1:],
    said("screen-failed", "2026-12-02T10:00:00Z", "investigator", criteria=["I1"]),
    said("rescreening-opened", "2026-12-03T10:00:00Z", cause="other"),
    said("screening-started", "2026-12-04T10:00:00Z"),
    said("attested", "2026-12-04T11:00:00Z", statement="breast-feeding", answer=True),
    said("attested", "2026-12-04T12:00:00Z", statement="breast-feeding", answer=False),
    specs.confirmed.on("2026-12-05T10:00:00Z"),
    said("transferred", "2026-12-06T10:00:00Z", "investigator", site="02"),
    said("consent-withdrawn", "2026-12-07T10:00:00Z", scope=["treatment", "visits"]),
)
