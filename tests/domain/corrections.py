"""A course for every type of fact: the fact is corrected, and this is what must follow.

`follows` is exactly what the log receives beside the correction (criteria are told by `reads`);
`reads` is what the views say, before the correction and after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from domain.journey.eligibility import verdict_of
from domain.planned import PlannedVisit
from domain.schedule import schedule
from domain.stage import stage
from domain.trial.protocol import Protocol
from tests.specs import (
    Expected,
    Said,
    Study,
    authorised,
    cleared,
    concluded,
    consented,
    deviation,
    died,
    dosed,
    event,
    given,
    lk_23_01,
    on_study,
    open_protocol,
    referred,
    report,
    said,
    screened,
    screening,
    treated,
    update,
    visit,
)

SEALED = {"sealed": "x", "key": "1"}
AWARE = "2026-12-10T09:00:00-05:00"

Reads = Callable[[Study], object]


@dataclass(frozen=True)
class Course:
    """One fact, what is corrected about it, and what follows."""

    history: tuple[Said, ...]
    fact: Said
    changes: dict[str, Any] = field(default_factory=dict)
    at: str | None = None
    """When it happened, as it should have been said."""
    follows: tuple[Expected, ...] = ()
    reads: Reads = lambda _study: None
    was: object = None
    now: object = None
    protocol: Protocol = field(default_factory=open_protocol)

    def study(self) -> Study:
        """The history, as it was recorded."""
        study = Study(self.protocol)
        opened = said("site-opened", "2026-10-02", "sponsor", site="02", name="B", timezone="UTC")
        study.tell(opened)
        given(*self.history, study=study)
        return study

    def correction(self, study: Study) -> Said:
        """What is posted to correct it: the whole data anew, or the time alone."""
        more: dict[str, Any] = {} if self.at is None else {"occurred_at": self.at}
        if self.changes:
            more["data"] = {**self.data(), **self.changes}
        return said("corrected", LATER, position=study.position(self.fact), **more)

    def back(self, study: Study) -> Said:
        """What is posted to correct it back."""
        at = study.position(self.fact)
        return said("corrected", LATEST, position=at, data=self.data(), occurred_at=self.fact.at)

    def data(self) -> dict[str, Any]:
        """The fact's data as a client sends them; protected values as the log shows them."""
        body = self.fact.body
        hidden = {name: SEALED for name in ("birth_date", "text") if hasattr(body, name)}
        plain = body.model_dump(mode="json", exclude={"type", *hidden}, exclude_none=True)
        return {**plain, **hidden}


LATER = "2026-12-16T10:00:00-05:00"
"""When each course is corrected: before the windows that the tests of visits are about close."""
LATEST = "2026-12-16T11:00:00-05:00"


def criterion(name: str) -> Reads:
    """A criterion's outcome: as it is judged, and as the log has it."""

    def reads(study: Study) -> object:
        verdict = verdict_of(study.trial, study.participant())
        judged = next(one.outcome for one in verdict.outcomes if one.criterion == name)
        logged = study.participant().concluded.get(("criterion", name))
        return (judged, logged.type if logged is not None else None)

    return reads


PASSED = ("passed", "criterion-passed")
FAILED = ("failed", "criterion-failed")
REOPENED = ("unknown", "criterion-reopened")


def planned(code: str, reads: Callable[[PlannedVisit], object]) -> Reads:
    """What the calendar says of a visit."""

    def read(study: Study) -> object:
        rows = schedule(study.trial, study.participant())
        return next(str(reads(one)) for one in rows if one.visit == code)

    return read


def stands(study: Study) -> object:
    """The stage of the journey."""
    return stage(study.trial, study.participant(), study.clock)


def of(chapter: str, name: str, member: str) -> Reads:
    """A member of the last fact of its kind."""

    def reads(study: Study) -> object:
        return getattr(getattr(getattr(study.participant(), chapter), name)[-1].body, member)

    return reads


# --- the facts ------------------------------------------------------------------------------------

prescreened = said("prescreened", "2026-11-01T12:00:00-05:00", proceed=True)
withdrawn = said("consent-withdrawn", "2026-12-05T09:00:00-05:00", scope=["treatment", "visits"])
person = said("demographics-recorded", "2026-11-23", birth_date="1990-05-04", sex="female")
activity = said("observation-recorded", "2026-11-23", code="sledai-2k", value=7)
cells = said(
    "medication-recorded",
    "2026-11-23",
    medication="M1",
    name="CAR-T",
    classes=["cell-therapy"],
    started_on="2020-01-10",
)
tumour = said(
    "history-recorded",
    "2026-11-23",
    item="H1",
    category="cancer",
    term="Carcinoma",
    code="basal-cell-carcinoma-skin",
    adequately_treated=True,
)
histories = said("attested", "2026-11-23", statement="medical-history-taken", answer=True)
medicines = said("attested", "2026-11-23", statement="medication-history-taken", answer=True)
able = said("attested", "2026-11-23", statement="able-to-follow-visits", answer=True)
not_given = said("dose-not-given", "2026-12-07T15:00:00-05:00", cause="fever")
booked = said("visit-booked", "2026-11-24T10:00:00-05:00", visit="V1", at="2026-12-07")
cancelled = said("visit-cancelled", "2026-11-25T10:00:00-05:00", visit="V1")
second = visit("V2", "2026-12-08")
contact = visit("V3", "2026-12-10", "telephone")
week = visit("V4", "2026-12-14")
missed = said("visit-missed", "2026-12-14", visit="V4")
blood = said("sample-collected", "2026-12-08", sample="S1", type="serum")
stored = said("sample-updated", "2026-12-09", sample="S1", status="stored")
reaction = event("AE-1", AWARE, seriousness=["hospitalisation"], causality="unrelated")
worse = update("AE-1", "2026-12-11T09:00:00-05:00", seriousness=["hospitalisation"])
mild = event("AE-1", AWARE, grade=1, causality="unrelated")
sent = report("AE-1", "site-to-sponsor", "2026-12-10T20:00:00-05:00")
left = said("discontinued", "2026-12-15", cause="physician-decision")
lost = said("lost-to-follow-up", "2026-12-14T09:00:00-05:00", "investigator", attempts=3)
found = said("recontacted", "2026-12-15T09:00:00-05:00")
dead = died.on("2026-12-15").but(on="2026-12-15")
fatal = event("AE-1", AWARE, outcome="fatal", end="2026-12-14", causality="unrelated")
seen = said("deviation-recorded", "2026-12-01", category="privacy", importance="minor")
note = said("note-added", "2026-12-01", text="A remark")

followed = (*treated, second, contact, week)


def untested(at: str) -> Said:
    """A dosing visit at which nobody asked for a pregnancy."""
    undone = [{"code": "pregnancy-test", "done": False, "cause": "forgotten"}]
    return visit("V1", at, procedures=undone)


COURSES: tuple[Course, ...] = (
    Course(
        (referred,),
        referred,
        {"site": "02"},
        reads=lambda study: study.participant().site,
        was="01",
        now="02",
    ),
    Course(
        (referred, prescreened),
        prescreened,
        {"proceed": False},
        reads=of("referral", "prescreened", "proceed"),
        was=True,
        now=False,
    ),
    Course(
        screening,
        consented,
        at="2026-11-24T09:00:00-05:00",
        follows=(
            deviation("consent", rule="consent-before-procedure", subject="screening"),
            deviation("consent", rule="consent-before-procedure", subject="visit V0"),
        ),
        reads=of("consent", "given", "form_version"),
        was="1.0",
        now="1.0",
    ),
    Course(
        (*screening, withdrawn),
        withdrawn,
        {"scope": ["data"]},
        reads=stands,
        was="withdrawn",
        now="screening",
    ),
    Course(
        screening,
        screened,
        at="2026-11-02T12:00:00-05:00",
        follows=(deviation("visit-window", rule="visit-window", subject="V0"),),
        reads=planned("V0", lambda one: one.latest),
        was="2026-12-13",
        now="2026-11-22",
    ),
    Course(
        (*on_study, authorised, person, dosed, untested("2026-12-07")),
        person,
        {"sex": "male"},
        follows=(cleared(deviation("procedure-missed", subject="V1 pregnancy-test")),),
        reads=of("screening", "demographics", "sex"),
        was="female",
        now="male",
    ),
    Course(
        (*screening, activity),
        activity,
        {"value": "5"},
        reads=criterion("I6"),
        was=PASSED,
        now=FAILED,
        protocol=lk_23_01(),
    ),
    Course(
        (*screening, medicines, cells),
        cells,
        {"classes": ["msc-therapy"]},
        reads=criterion("E8"),
        was=FAILED,
        now=PASSED,
        protocol=lk_23_01(),
    ),
    Course(
        (*screening, histories, tumour),
        tumour,
        {"adequately_treated": False},
        reads=criterion("E12"),
        was=PASSED,
        now=FAILED,
        protocol=lk_23_01(),
    ),
    Course(
        (*screening, able),
        able,
        {"answer": False},
        reads=criterion("I8"),
        was=PASSED,
        now=FAILED,
        protocol=lk_23_01(),
    ),
    Course(
        followed,
        dosed,
        at="2026-12-08T10:00:00-05:00",
        follows=(
            deviation("visit-window", rule="visit-window", subject="V1"),
            deviation("visit-window", rule="visit-window", subject="V2"),
            concluded("slot-taken", dosed_on="2026-12-08"),
        ),
        reads=planned("V5", lambda one: one.latest),
        was="2026-12-24",
        now="2026-12-25",
    ),
    Course(
        (*on_study, authorised, not_given),
        not_given,
        at="2026-12-07T07:00:00-05:00",
        follows=(concluded("slot-taken", authorised_on="2026-12-07"),),
        reads=lambda study: study.participant().treatment.standing_authorisation is not None,
        was=False,
        now=True,
    ),
    Course(
        (*screening, booked),
        booked,
        {"at": "2026-12-09"},
        reads=planned("V5", lambda one: one.target),
        was="2026-12-21",
        now="2026-12-23",
    ),
    Course(
        (*screening, booked, cancelled),
        cancelled,
        {"visit": "V5"},
        reads=planned("V1", lambda one: one.booked_on),
        was="None",
        now="2026-12-07",
    ),
    Course(
        followed,
        second,
        at="2026-12-10",
        follows=(deviation("visit-window", rule="visit-window", subject="V2"),),
        reads=planned("V2", lambda one: one.days_from_target),
        was="0",
        now="2",
    ),
    Course(
        (*treated, second, contact, missed),
        missed,
        {"visit": "V5"},
        follows=(
            cleared(deviation("visit-window", rule="visit-missed", subject="V4")),
            deviation("visit-window", rule="visit-missed", subject="V5"),
        ),
        reads=planned("V4", lambda one: one.open),
        was="False",
        now="True",
    ),
    Course(
        (*followed, blood),
        blood,
        at="2026-11-01",
        follows=(deviation("consent", rule="consent-before-procedure", subject="sample S1"),),
        reads=of("visits", "collected", "sample"),
        was="S1",
        now="S1",
    ),
    Course(
        (*followed, blood, stored),
        stored,
        {"status": "lost"},
        reads=of("visits", "updated", "status"),
        was="stored",
        now="lost",
    ),
    Course(
        (*followed, reaction, sent),
        reaction,
        {"aware_at": "2026-12-09T12:00:00-05:00"},
        follows=(
            concluded("safety-clock-started", due_at="2026-12-10T12:00:00-05:00"),
            concluded("safety-clock-met", met_at=sent.at, late=True, late_by="PT8H"),
            deviation("safety-reporting-late", rule="safety-report-late"),
        ),
    ),
    Course(
        (*followed, mild, worse),
        worse,
        {"seriousness": []},
        follows=(
            cleared(concluded("serious-adverse-event-identified", ae="AE-1")),
            concluded("safety-clock-closed", clock="site-to-sponsor"),
            cleared(deviation("safety-reporting-late", rule="safety-report-late")),
        ),
    ),
    Course(
        (*followed, reaction, sent),
        sent,
        {"submitted_at": "2026-12-12T20:00:00-05:00"},
        follows=(
            concluded("safety-clock-met", late=True, late_by="P1DT11H"),
            deviation("safety-reporting-late", rule="safety-report-late"),
        ),
    ),
    Course(
        (*followed, left),
        left,
        at="2026-12-13",
        follows=(concluded("slot-taken", left_on="2026-12-13"),),
        reads=planned("ET", lambda one: one.latest),
        was="2026-12-29",
        now="2026-12-27",
    ),
    Course(
        (*followed, lost, found),
        found,
        at="2026-12-13",
        follows=(concluded("slot-taken", left_on="2026-12-14"),),
        reads=stands,
        was="follow-up",
        now="lost",
    ),
    Course(
        (*followed, fatal, dead),
        dead,
        {"on": "2026-12-14"},
        follows=(cleared(concluded("contradiction-found", because="death-date-differs")),),
        reads=of("closure", "died", "cause"),
    ),
    Course(
        (*screening, seen),
        seen,
        {"importance": "important"},
        reads=of("oversight", "deviations", "importance"),
        was="minor",
        now="important",
    ),
    Course((*screening, note), note, {"text": {"sealed": "y", "key": "1"}}),
)
