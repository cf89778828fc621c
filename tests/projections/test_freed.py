"""What is made of a participant is a tree: it is freed at once. A process that folds thousands, one
after the other, leaves the garbage collector nothing to walk through."""

import gc

from domain.participant import replay
from projections.catalogue import VIEWS
from tests import specs
from tests.specs import Study, lk_23_01, said


def test_a_participant_and_all_rows_are_freed_without_the_garbage_collector() -> None:
    study = Study(lk_23_01())
    for one in (
        *specs.screening,
        said(
            "observation-recorded", "2026-11-24", code="egfr", value="80", unit="mL/min/{1.73_m2}"
        ),
        said("attested", "2026-11-24", statement="breast-feeding", answer=True),
        said(
            "medication-recorded",
            "2026-11-24",
            medication="M-1",
            name="A",
            started_on="2026",
            classes=["biologic"],
        ),
    ):
        study.post(one)
    history = [one for one in study.log if one.participant == specs.WHO]

    def rebuilt() -> int:
        participant = replay(specs.WHO, history)
        return sum(len(view.of(study.trial, participant)) for view in VIEWS)

    assert rebuilt() > len(VIEWS)  # what is kept for everybody is there from now on
    gc.collect()
    gc.disable()
    try:
        rebuilt()
        assert gc.collect() == 0
    finally:
        gc.enable()
