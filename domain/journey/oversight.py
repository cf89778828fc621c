"""Oversight: transfers, deviations, corrections, signatures, notes and erasure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, assert_never

from pydantic import Field

from domain.in_force import in_force
from domain.journey.referral import FreeText
from domain.kernel import (
    Code,
    Conclusion,
    Decision,
    Fact,
    Key,
    Noted,
    Proposed,
    Protected,
    Protects,
    Recorded,
    Refused,
    WrittenByCairn,
    joined,
)
from domain.making import changing
from domain.time import CivilDate, Moment, When

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial

# --- events: what can happen ----------------------------------------------------------------------

Category = Literal[
    "eligibility",
    "consent",
    "dosing",
    "visit-window",
    "procedure-missed",
    "prohibited-medication",
    "safety-reporting-late",
    "sample-handling",
    "privacy",
    "other",
]
Importance = Literal["important", "minor"]


class Transferred(Decision):
    """The participant's care moved to another site."""

    type: Literal["transferred"] = "transferred"
    site: Code


class DeviationDetected(Conclusion):
    """The facts depart from the protocol or from good clinical practice (ICH E6(R3) 2.5)."""

    type: Literal["deviation-detected"] = "deviation-detected"
    rule: str
    subject: str | None = None
    """What it is about within the rule: a visit, an adverse event, a procedure."""
    category: Category
    importance: Importance
    explanation: str

    def key(self) -> Key:
        """One deviation per rule and subject."""
        return ("deviation", self.rule, self.subject or "")

    def substance(self) -> tuple[object, ...]:
        """Recorded anew when its weight or its wording changes."""
        return (self.category, self.importance, self.explanation)


class ProtocolVersionAssigned(Conclusion):
    """Another protocol version is in force for the participant: an amendment reached them, or they
    moved to a site that works under another one."""

    type: Literal["protocol-version-assigned"] = "protocol-version-assigned"
    protocol: Code
    previous: Code
    """The version that was in force before."""
    since: CivilDate
    """The civil day at the site from which on it governs what is done."""
    because: Literal["activated", "consented", "transferred"]

    KEY: ClassVar[Key] = ("protocol-version",)

    def key(self) -> Key:
        """One version is in force at a time."""
        return self.KEY

    def substance(self) -> tuple[object, ...]:
        """Recorded anew when the version or its first day changes."""
        return (self.protocol, self.previous, self.since.text)


class DeviationRecorded(Fact):
    """A person saw a deviation."""

    type: Literal["deviation-recorded"] = "deviation-recorded"
    category: Category
    importance: Importance
    description: Annotated[Protected | None, Protects(FreeText)] = None
    action: Annotated[Protected | None, Protects(FreeText)] = None


class DeviationAssessed(Decision):
    """A person judged a deviation that was detected or recorded."""

    type: Literal["deviation-assessed"] = "deviation-assessed"
    deviation: int | None = None
    """The position of the deviation that is judged."""
    category: Category
    importance: Importance
    description: Annotated[Protected | None, Protects(FreeText)] = None
    action: Annotated[Protected | None, Protects(FreeText)] = None


class Corrected(Decision):
    """An earlier event says something else now: its whole data, and when it happened."""

    type: Literal["corrected"] = "corrected"
    reason_required: ClassVar[bool] = True
    position: Annotated[int, Field(ge=1)]
    data: dict[str, Any] | None = None
    """The whole new data of the event, as its type has it; checked against that type when posted.
    (A fraction is a decimal here, which pydantic's JSON values are not.)"""
    occurred_at: Moment | None = None


class Retracted(Decision):
    """An earlier event is taken back: it did not happen."""

    type: Literal["retracted"] = "retracted"
    reason_required: ClassVar[bool] = True
    position: Annotated[int, Field(ge=1)]


class Signed(Decision):
    """A person signed the history up to a version (21 CFR 11.50, 11.70)."""

    type: Literal["signed"] = "signed"
    meaning: Literal["review", "approval", "responsibility", "authorship"]
    up_to_version: Annotated[int, Field(ge=1)]
    signed_hash: Annotated[str | None, WrittenByCairn] = None
    """Leaf hash of the event at that version; through the chain it binds every event before."""


class NoteAdded(Fact):
    """A free remark; protected, always."""

    type: Literal["note-added"] = "note-added"
    text: Annotated[Protected, Protects(FreeText)]


class IdentityErased(Decision):
    """The participant's key is destroyed; what was protected cannot be read again."""

    type: Literal["identity-erased"] = "identity-erased"
    reason_required: ClassVar[bool] = True
    basis: Literal["participant-request", "retention-ended", "recorded-in-error", "court-order"]
    scope: Annotated[
        tuple[Literal["contact", "free-text", "birth-date", "all"], ...],
        Field(strict=False, min_length=1),
    ]


OversightEvent = (
    Transferred
    | ProtocolVersionAssigned
    | DeviationDetected
    | DeviationRecorded
    | DeviationAssessed
    | Corrected
    | Retracted
    | Signed
    | NoteAdded
    | IdentityErased
)

# --- state: what we remember ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Oversight:
    """Transfers, people's deviations and judgements, signatures, erasures, notes."""

    transferred: tuple[Noted[Transferred], ...] = ()
    deviations: tuple[Noted[DeviationRecorded], ...] = ()
    assessed: tuple[Noted[DeviationAssessed], ...] = ()
    signed: tuple[Noted[Signed], ...] = ()
    notes: tuple[Noted[NoteAdded], ...] = ()
    erased: tuple[Noted[IdentityErased], ...] = ()


# --- check: what is refused -----------------------------------------------------------------------


def check(trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    """Corrections name an event that can be corrected; signatures a version that exists."""
    body = proposed.body
    assert isinstance(body, OversightEvent)
    match body:
        case DeviationRecorded() | NoteAdded():
            return
        case Transferred():
            _may_transfer(trial, participant, body)
        case DeviationAssessed():
            _deviation_exists(participant, body.deviation)
        case Corrected() | Retracted():
            _can_be_corrected(participant, body)
        case Signed():
            _has_version(participant, body.up_to_version)
        case IdentityErased():
            _not_erased(participant)
        case DeviationDetected() | ProtocolVersionAssigned():
            raise Refused("signer", "a conclusion is drawn by Cairn only")
        case _:
            assert_never(body)


def _may_transfer(trial: "Trial", participant: "Participant", body: Transferred) -> None:
    ended = participant.ended()
    if ended is not None:
        raise Refused("terminal", "the participant's journey has ended", ended.cited)
    withdrawn = participant.consent.withdrawal({"visits"}, trial.zone(participant.site))
    if withdrawn is not None:
        raise Refused("scope", "consent to this was withdrawn", withdrawn.cited)
    if trial.sites and body.site not in trial.sites:
        raise Refused("order", "the site is not open in this study")
    if body.site == participant.site:
        raise Refused("order", "the participant is at that site already")


def _has_version(participant: "Participant", version: int) -> None:
    if version > participant.version:
        raise Refused("order", "the participant has no such version yet")


def _not_erased(participant: "Participant") -> None:
    erased = participant.oversight.erased
    if erased:
        raise Refused("erased", "the identity is erased", erased[-1].cited)


def _deviation_exists(participant: "Participant", position: int | None) -> None:
    if position is None:
        return
    known = {noted.position for noted in participant.oversight.deviations}
    if position not in known and position not in participant.detected():
        raise Refused("order", "the position names no deviation of this participant")


def _can_be_corrected(participant: "Participant", body: Corrected | Retracted) -> None:
    target = participant.recorded_at(body.position)
    if target is None:
        raise Refused("order", "the position names no event of this participant")
    if isinstance(target.body, Conclusion):
        raise Refused("order", "a conclusion cannot be corrected; correct what it rests on")
    if isinstance(target.body, IdentityErased):
        raise Refused("erased", "an erasure cannot be undone", (target.position,))
    if isinstance(target.body, Signed):
        # 21 CFR 11.70: a signature is not cut off, and not made to say something else.
        words = "a signature is neither corrected nor taken back; sign again"
        raise Refused("signer", words, (target.position,))
    if isinstance(body, Corrected):
        _says_what_changes(body, target)


def _says_what_changes(body: Corrected, target: Recorded) -> None:
    if body.data is None and body.occurred_at is None:
        raise Refused("order", "a correction says what changes: data, occurred_at or both")
    if body.data is None or not isinstance(target.body, Corrected | Retracted):
        return
    if body.data.get("position") != target.body.position:
        words = "a correction goes on naming its event; take it back and correct the other one"
        raise Refused("order", words, (target.position,))


# --- evolve: how memory changes -------------------------------------------------------------------

_changed = changing(Oversight)


def evolve(oversight: Oversight, recorded: Recorded) -> Oversight:
    """Remember one more event of this chapter. Corrections act on the history, not here."""
    body: Any = recorded.body
    assert isinstance(body, OversightEvent)
    match body:
        case Transferred():
            return _changed(oversight, transferred=joined(oversight.transferred, body, recorded))
        case DeviationRecorded():
            return _changed(oversight, deviations=joined(oversight.deviations, body, recorded))
        case DeviationAssessed():
            return _changed(oversight, assessed=joined(oversight.assessed, body, recorded))
        case Signed():
            return _changed(oversight, signed=joined(oversight.signed, body, recorded))
        case NoteAdded():
            return _changed(oversight, notes=joined(oversight.notes, body, recorded))
        case IdentityErased():
            return _changed(oversight, erased=joined(oversight.erased, body, recorded))
        case Corrected() | Retracted() | DeviationDetected() | ProtocolVersionAssigned():
            return oversight
        case _:
            assert_never(body)


# --- conclude: what follows -----------------------------------------------------------------------


def conclude(trial: "Trial", participant: "Participant", _now: datetime) -> tuple[Conclusion, ...]:
    """The version that an amendment or a transfer brought; deviations are concluded by the chapter
    whose facts break the rule."""
    assigned = version_assigned(trial, participant)
    return () if assigned is None else (assigned,)


def version_assigned(trial: "Trial", participant: "Participant") -> ProtocolVersionAssigned | None:
    """What the log says of the version in force; None for whoever is under their first one."""
    versions = in_force(trial, participant)
    if len(versions) < 2:
        return None
    before, now = versions[-2:]
    assert now.since is not None
    assert now.by is not None
    return ProtocolVersionAssigned(
        protocol=now.protocol.version,
        previous=before.protocol.version,
        since=When.on(now.since),
        because=_BECAUSE[now.by.body.type],
        evidence=now.by.cited,
    )


_BECAUSE: Mapping[str, Literal["activated", "consented", "transferred"]] = MappingProxyType(
    {
        "protocol-activated": "activated",
        "consented": "consented",
        "transferred": "transferred",
    }
)
