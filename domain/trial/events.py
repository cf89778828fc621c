"""The study's own stream: what sponsors and sites do, and what crosses participants."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from domain.kernel import Code, Conclusion, Decision, Key, ParticipantId, Strict, Term
from domain.time import CivilDate


class StudyRegistered(Decision):
    """The study exists here from now on."""

    type: Literal["study-registered"] = "study-registered"
    study: Code
    title: Annotated[str, Field(max_length=4_000)]
    registry: Code | None = None


class ProtocolPublished(Decision):
    """A protocol version is published, whole and immutable, addressed by its SHA-256."""

    type: Literal["protocol-published"] = "protocol-published"
    version: Code
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SiteOpened(Decision):
    """A site takes part."""

    type: Literal["site-opened"] = "site-opened"
    site: Code
    name: Term
    timezone: Annotated[str, Field(max_length=64)]
    """IANA name; the site's civil days are counted in it."""


class ProtocolApproved(Decision):
    """An ethics committee or an authority approved a protocol version for a site."""

    type: Literal["protocol-approved"] = "protocol-approved"
    site: Code
    protocol: Code
    by: Code
    """Who approved, as the protocol's settings name those whose approval a site needs."""
    reference: Code | None = None
    """Under which number the approval is kept."""


class ProtocolActivated(Decision):
    """A site may work under a protocol version, after its own approval (ICH E6(R3) 4.3.5)."""

    type: Literal["protocol-activated"] = "protocol-activated"
    site: Code
    protocol: Code


class ConsentFormApproved(Decision):
    """A consent form may be used; `reconsent` asks those who signed an older one to sign it."""

    type: Literal["consent-form-approved"] = "consent-form-approved"
    form_version: Code
    reconsent: bool = False


class HoldPlaced(Decision):
    """No enrolment and no dose, in the whole study or at a site."""

    type: Literal["hold-placed"] = "hold-placed"
    scope: Code
    """`study`, or a site."""
    cause: Code


class HoldReleased(Decision):
    """A named person lifted the hold."""

    type: Literal["hold-released"] = "hold-released"
    scope: Code
    cause: Code


class SlotToxicity(Strict):
    """What one adverse event means for the study's stopping rules."""

    ae: Code
    dose_limiting: bool
    halting: str | None = None
    """The absolute halt rule that it meets, if any."""
    related_serious_class: str | None = None
    """For a related serious event: its system organ class, or its term when not coded."""


class SlotTaken(Conclusion):
    """A participant takes one of the study's slots; recorded again when what it says changes."""

    type: Literal["slot-taken"] = "slot-taken"
    participant: ParticipantId
    site: Code | None = None
    enrolled: bool
    authorised_on: CivilDate | None = None
    dosed_on: CivilDate | None = None
    left_on: CivilDate | None = None
    """The day on which the journey ended inside the window in which a toxicity counts: without
    one the participant is never evaluable."""
    toxicities: Annotated[tuple[SlotToxicity, ...], Field(strict=False)] = ()

    def key(self) -> Key:
        """One slot a participant."""
        return ("slot", self.participant)

    def substance(self) -> tuple[object, ...]:
        """All of it: cross-participant rules read nothing else."""
        days = (self.authorised_on, self.dosed_on, self.left_on)
        return (self.site, self.enrolled, *days, self.toxicities)

    def dose_day(self) -> date | None:
        """The civil day of the dose: given, or else authorised."""
        day = self.dosed_on or self.authorised_on
        return day.first if day else None


class SlotFreed(Conclusion):
    """The participant takes no slot after all (an enrolment was retracted)."""

    type: Literal["slot-freed"] = "slot-freed"
    participant: ParticipantId

    def key(self) -> Key:
        """The slot it frees."""
        return ("slot", self.participant)

    def substance(self) -> tuple[object, ...]:
        """Freed is freed."""
        return ("freed",)


class StoppingBoundaryCrossed(Conclusion):
    """A stopping rule is met: a hold is proposed and stands until a named person lifts it."""

    type: Literal["stopping-boundary-crossed"] = "stopping-boundary-crossed"
    rule: str
    explanation: str
    dosed: int
    evaluable: int
    with_toxicity: int
    """How many the rule counts: participants with a toxicity, events, doses given too soon."""

    def key(self) -> Key:
        """One crossing per rule."""
        return ("boundary", self.rule)

    def substance(self) -> tuple[object, ...]:
        """A further toxicity is a new crossing."""
        return (self.with_toxicity,)


StudyEvent = (
    StudyRegistered
    | ProtocolPublished
    | SiteOpened
    | ProtocolApproved
    | ProtocolActivated
    | ConsentFormApproved
    | HoldPlaced
    | HoldReleased
    | SlotTaken
    | SlotFreed
    | StoppingBoundaryCrossed
)
