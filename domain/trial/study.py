"""The trial: the study's stream folded into what participants are judged by."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, assert_never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.kernel import Noted, Proposed, Recorded, Refused, joined
from domain.trial.events import (
    ConsentFormApproved,
    HoldPlaced,
    HoldReleased,
    ProtocolActivated,
    ProtocolApproved,
    ProtocolPublished,
    SiteOpened,
    SlotFreed,
    SlotTaken,
    StoppingBoundaryCrossed,
    StudyEvent,
    StudyRegistered,
)
from domain.trial.protocol import Protocol

if TYPE_CHECKING:
    from domain.participant import Participant

# --- state: what we remember ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything about the study that a participant's history is judged by."""

    study: str
    version: int = 0
    """The version of the study's stream this state reflects."""
    position: int = 0
    head: str | None = None
    """Leaf hash (hex) of the stream's last event."""
    registered: Noted[StudyRegistered] | None = None
    published: Mapping[str, Noted[ProtocolPublished]] = field(default_factory=dict)
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    sites: Mapping[str, Noted[SiteOpened]] = field(default_factory=dict)
    activated: tuple[Noted[ProtocolActivated], ...] = ()
    approved: tuple[Noted[ProtocolApproved], ...] = ()
    consent_forms: Mapping[str, Noted[ConsentFormApproved]] = field(default_factory=dict)
    """In the order of approval."""
    holds: tuple[Noted[HoldPlaced], ...] = ()
    """Standing holds."""
    slots: Mapping[str, Noted[SlotTaken]] = field(default_factory=dict)
    """Participant -> what the study's cross-participant rules know of them."""
    boundaries: Mapping[str, Noted[StoppingBoundaryCrossed]] = field(default_factory=dict)
    """Standing crossings by rule; a release of the study's hold ends them."""
    lifted: Mapping[str, Noted[StoppingBoundaryCrossed]] = field(default_factory=dict)
    """Crossings that a named person lifted: only a worse one is proposed again."""

    @property
    def boundary_crossed(self) -> Noted[StoppingBoundaryCrossed] | None:
        """A standing crossing, if any."""
        return next(iter(self.boundaries.values()), None)

    def zone(self, site: str | None) -> ZoneInfo:
        """The site's time zone; UTC for a site that is not opened."""
        opened = self.sites.get(site) if site else None
        return zone_named(opened.body.timezone if opened else "UTC")

    def holds_for(self, site: str | None) -> list[Noted[HoldPlaced]]:
        """Standing holds on the whole study or on the site."""
        return [hold for hold in self.holds if hold.body.scope in ("study", site)]

    def protocol_of(self, participant: "Participant", at: datetime | None = None) -> Protocol:
        """The version in force for the participant, now or at a moment."""
        return self.protocols[self.version_for(participant, at)]

    def version_for(self, participant: "Participant", at: datetime | None = None) -> str:
        """The version active at the site at consent, and later ones that have reached them.

        Without an activation at the site it is the version that registered the study. With `at`,
        the version in force at that moment: what was activated or signed later does not count.
        Whose journey is over stays under the version of its end.
        """
        if at is not None:
            return self._version(participant, at)
        mine = (self.protocols, self.activated, self.sites)
        return participant.here("version", mine, lambda: self._version_now(participant))

    def _version_now(self, participant: "Participant") -> str:
        read = (
            self.protocols,
            self.activated,
            self.sites,
            participant.consent,
            participant.referral,
            participant.oversight,
            participant.closure,
            participant.screening.failed,
            participant.screening.reopened,
            participant.treatment.dosed,
        )
        return participant.derived("version", read, lambda: self._version(participant, None))

    def _version(self, participant: "Participant", at: datetime | None) -> str:
        zone = self.zone(participant.site)
        over = participant.over(zone)
        if over is not None:
            at = over if at is None else min(at, over)
        site = participant.site if at is None else participant.site_at(at, zone)
        active = [n for n in self.activated if n.body.site == site]
        if not active:
            return next(iter(self.protocols))
        given = participant.consent.given
        if at is not None:
            active = [n for n in active if n.when.earliest(zone) <= at] or active[:1]
            given = tuple(n for n in given if n.when.earliest(zone) <= at)
        if not given:
            return active[-1].body.protocol
        in_force = active[0].body.protocol
        for activation in active[1:]:
            if activation.when.earliest(zone) <= given[0].when.latest(zone):
                in_force = activation.body.protocol
                continue
            asks = self.protocols[activation.body.protocol].settings.reconsent
            again = given[-1].when.latest(zone) > activation.when.earliest(zone)
            if not asks or again:
                in_force = activation.body.protocol
        return in_force


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The IANA zone; ZoneInfoNotFoundError when there is none of the name."""
    return ZoneInfo(name)


RELEASERS = ("sponsor", "safety-officer", "administrator")
"""The roles whose named person may lift a hold."""

# --- check: what is refused -----------------------------------------------------------------------


def check(trial: Trial, proposed: Proposed) -> None:
    """Study decisions follow their order; what Cairn concludes or publishes cannot be posted."""
    body = proposed.body
    assert isinstance(body, StudyEvent)
    match body:
        case StudyRegistered() | ProtocolPublished():
            raise Refused("signer", "a protocol is published as a document, not as an event")
        case SiteOpened():
            _may_open(trial, body)
        case ProtocolApproved() | ProtocolActivated():
            _may_begin(trial, proposed, body)
        case ConsentFormApproved():
            known = trial.consent_forms.get(body.form_version)
            if known is not None:
                raise Refused("order", "the form is approved already", known.cited)
        case HoldPlaced():
            if body.scope != "study" and body.scope not in trial.sites:
                raise Refused("order", "the scope is neither the study nor an open site")
        case HoldReleased():
            _may_release(trial, proposed, body)
        case SlotTaken() | SlotFreed() | StoppingBoundaryCrossed():
            raise Refused("signer", "a conclusion is drawn by Cairn only")
        case _:
            assert_never(body)


def _may_open(trial: Trial, body: SiteOpened) -> None:
    known = trial.sites.get(body.site)
    if known is not None:
        raise Refused("order", "the site is open already", known.cited)
    if body.site == "study":
        raise Refused("order", "`study` names the whole study in holds; choose another code")
    try:
        zone_named(body.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused("order", "the time zone is not an IANA zone") from None


def _may_begin(
    trial: Trial, proposed: Proposed, body: ProtocolApproved | ProtocolActivated
) -> None:
    if body.site not in trial.sites:
        raise Refused("order", "the site is not open")
    if body.protocol not in trial.protocols:
        raise Refused("order", "no such protocol version is published")
    if isinstance(body, ProtocolApproved):
        _may_approve(trial, body)
    else:
        _may_activate(trial, proposed, body)


def _may_approve(trial: Trial, body: ProtocolApproved) -> None:
    for known in trial.approved:
        if (known.body.site, known.body.protocol, known.body.by) == (
            body.site,
            body.protocol,
            body.by,
        ):
            raise Refused("order", "the version is approved by them there already", known.cited)


def _may_activate(trial: Trial, proposed: Proposed, body: ProtocolActivated) -> None:
    """A site works under a version once those have approved it whom the version names."""
    zone = trial.zone(body.site)
    for needed in trial.protocols[body.protocol].settings.approvals:
        given = [
            known
            for known in trial.approved
            if (known.body.site, known.body.protocol, known.body.by)
            == (body.site, body.protocol, needed)
        ]
        if not given:
            raise Refused("order", f"the site has no approval of the version by {needed}")
        if not any(
            known.when.earliest(zone) <= proposed.occurred_at.last_moment(zone) for known in given
        ):
            words = f"the approval of the version by {needed} is later"
            raise Refused("order", words, given[0].cited)


def _may_release(trial: Trial, proposed: Proposed, body: HoldReleased) -> None:
    if proposed.actor.role not in RELEASERS:
        raise Refused("signer", "a hold is lifted by the sponsor or the safety officer")
    standing = [hold for hold in trial.holds if hold.body.scope == body.scope]
    if not standing and not (body.scope == "study" and trial.boundaries):
        raise Refused("order", "there is no such hold in force")


# --- evolve: how memory changes -------------------------------------------------------------------


def evolve(trial: Trial, recorded: Recorded, documents: Mapping[str, Protocol]) -> Trial:
    """Remember one more event of the study's stream.

    `documents` maps the SHA-256 of each published protocol to the protocol.
    """
    trial = replace(
        trial, version=recorded.version, position=recorded.position, head=recorded.hash or None
    )
    body = recorded.body
    assert isinstance(body, StudyEvent)
    match body:
        case StudyRegistered():
            return replace(trial, registered=Noted(body, recorded))
        case ProtocolPublished():
            return replace(
                trial,
                published={**trial.published, body.version: Noted(body, recorded)},
                protocols={**trial.protocols, body.version: documents[body.sha256]},
            )
        case SiteOpened():
            return replace(trial, sites={**trial.sites, body.site: Noted(body, recorded)})
        case ProtocolApproved() | ProtocolActivated():
            return _with_version(trial, body, recorded)
        case ConsentFormApproved():
            forms = {**trial.consent_forms, body.form_version: Noted(body, recorded)}
            return replace(trial, consent_forms=forms)
        case HoldPlaced():
            return replace(trial, holds=(*trial.holds, Noted(body, recorded)))
        case HoldReleased():
            return _released(trial, body)
        case SlotTaken() | SlotFreed():
            return _with_slot(trial, body, recorded)
        case StoppingBoundaryCrossed():
            return _crossed(trial, body, recorded)
        case _:
            assert_never(body)


def _with_version(
    trial: Trial, body: ProtocolApproved | ProtocolActivated, recorded: Recorded
) -> Trial:
    if isinstance(body, ProtocolApproved):
        return replace(trial, approved=joined(trial.approved, body, recorded))
    return replace(trial, activated=joined(trial.activated, body, recorded))


def _with_slot(trial: Trial, body: SlotTaken | SlotFreed, recorded: Recorded) -> Trial:
    slots = dict(trial.slots)
    slots.pop(body.participant, None)
    if isinstance(body, SlotTaken):
        slots[body.participant] = Noted(body, recorded)
    return replace(trial, slots=slots)


def _released(trial: Trial, body: HoldReleased) -> Trial:
    kept = tuple(hold for hold in trial.holds if hold.body.scope != body.scope)
    if body.scope != "study":
        return replace(trial, holds=kept)
    lifted = {**trial.lifted, **trial.boundaries}
    return replace(trial, holds=kept, boundaries={}, lifted=lifted)


def _crossed(trial: Trial, body: StoppingBoundaryCrossed, recorded: Recorded) -> Trial:
    if body.cleared:
        kept = {rule: one for rule, one in trial.boundaries.items() if rule != body.rule}
        lifted = {rule: one for rule, one in trial.lifted.items() if rule != body.rule}
        return replace(trial, boundaries=kept, lifted=lifted)
    return replace(trial, boundaries={**trial.boundaries, body.rule: Noted(body, recorded)})


def replay(study: str, history: list[Recorded], documents: Mapping[str, Protocol]) -> Trial:
    """The trial after a prefix of the study's stream."""
    trial = Trial(study)
    for recorded in history:
        trial = evolve(trial, recorded, documents)
    return trial
