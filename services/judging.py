"""Judging: posted events against the state they meet, protected values sealed on the way."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from domain import admit as judge
from domain.journey.oversight import Corrected, IdentityErased
from domain.journey.referral import Referred
from domain.journey.screening import DemographicsRecorded
from domain.kernel import PROVISIONAL, Decision, Event, Proposed, Refusal
from domain.making import maker
from domain.participant import Participant
from domain.time import When
from domain.trial import study as studies
from domain.trial.study import Trial
from infra.vault.keyring import KeyRing
from services.door import Posted
from services.door.refused import invalid
from services.drafting import Judged
from services.sealing import birth_of, corrected, has_protected, sealed
from services.state import NotFound
from services.terms import ANY_VERSION, Group, PreconditionFailed, PreconditionRequired, Terms

_proposed = maker(Proposed)


class Judging:
    """Turns posted events into what the ledger is asked to keep, or refuses them."""

    def __init__(self, keys: KeyRing, clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._clock = clock

    def participants(
        self,
        study: str,
        trial: Trial,
        groups: Sequence[Group],
        states: Mapping[str, Participant],
        terms: Terms,
        first: int = PROVISIONAL,
    ) -> Judged:
        """Each group's participant before, and what is recorded for it, from this position on.

        Raises NotFound, PreconditionFailed, PreconditionRequired, Invalid, Refused, Impossible,
        WouldDeviate.
        """
        judged: list[tuple[Participant, judge.Admitted]] = []
        for group in groups:
            before = states[group.participant]
            if before.version == 0 and not isinstance(group.posted[0].body, Referred):
                raise NotFound("participant")
            matches(terms, before.version, study, before.id)
            _names_its_version(trial, before, group, terms)
            wanted = self._all_wanted(study, before, group, terms)
            admitted = _admitted(trial, before, wanted, terms, first)
            for event in admitted.study:
                trial = studies.evolve(trial, event, {})
            first += len(admitted.events)
            judged.append((before, admitted))
        return judged

    def keyless(self, study: str, groups: Sequence[Group]) -> list[str]:
        """The participants who have protected values among their events, and no key in memory."""
        return [
            group.participant
            for group in groups
            if not self._keys.holds(study, group.participant)
            and any(_touches_protected(posted.body) for posted in group.posted)
        ]

    def reads(self, study: str, groups: Sequence[Group], states: Mapping[str, Participant]) -> bool:
        """Whether judging reads a participant's key: a birth date is sealed under it."""
        return any(
            states[group.participant].screening.demographics
            and not self._keys.holds(study, group.participant)
            for group in groups
        )

    def proposed(
        self,
        posted: Posted,
        terms: Terms,
        participant: str | None,
        birth: When | None = None,
        body: Event | None = None,
    ) -> Proposed:
        """The posted event with the circumstances it is judged in; `body` where it is sealed."""
        return _proposed(
            body=posted.body if body is None else body,
            occurred_at=posted.occurred_at,
            actor=terms.actor,
            now=self._clock(),
            participant=participant,
            source=posted.source or terms.source,
            id=posted.id,
            reason=posted.reason,
            recorded_at_source=posted.recorded_at_source,
            birth=birth,
            historical=terms.historical,
        )

    def _all_wanted(
        self, study: str, before: Participant, group: Group, terms: Terms
    ) -> list[Proposed]:
        """The posted events as they will be judged, in their order.

        A birth date that one of them says is at hand for those after it.
        """
        wanted: list[Proposed] = []
        said: When | None = None
        for posted in group.posted:
            wanted.append(self._wanted(study, before, posted, terms, said))
            if isinstance(posted.body, DemographicsRecorded | Corrected):
                said = wanted[-1].birth
        return wanted

    def _wanted(
        self, study: str, before: Participant, posted: Posted, terms: Terms, said: When | None
    ) -> Proposed:
        """The posted event as it will be judged: protected values sealed, birth date at hand."""
        body = posted.body
        if isinstance(body, IdentityErased) and body.scope != ("all",):
            # One key seals everything of a participant: a part of it cannot be destroyed alone,
            # and an erasure that did not take place must not be recorded.
            raise invalid("/data/scope", "only-all")
        says: Event = body
        if isinstance(body, Corrected):
            says, body = corrected(self._keys, study, before, body)
        if said is None or isinstance(says, DemographicsRecorded):
            said = birth_of(self._keys, study, before, says)
        body = sealed(self._keys, study, before.id, body)
        return self.proposed(posted, terms, before.id, said, body)


def _admitted(
    trial: Trial, before: Participant, wanted: Sequence[Proposed], terms: Terms, first: int
) -> judge.Admitted:
    try:
        return judge.admit(trial, before, wanted, strict=terms.strict, first=first)
    except Refusal as refusal:
        refusal.participant = before.id
        refusal.index = _index_of(trial, before, wanted, terms)
        raise


def _index_of(trial: Trial, before: Participant, wanted: Sequence[Proposed], terms: Terms) -> int:
    """Which of the events is refused: the last of the shortest refused beginning."""
    for count in range(1, len(wanted)):
        try:
            judge.admit(trial, before, wanted[:count], strict=terms.strict)
        except Refusal:
            return count - 1
    return len(wanted) - 1


def matches(terms: Terms, version: int, study: str, participant: str | None) -> None:
    """Raise PreconditionFailed unless the stream stands where `If-Match` says."""
    wanted = terms.if_match
    if wanted is None or wanted == version or (wanted == ANY_VERSION and version > 0):
        return
    raise PreconditionFailed(version, wanted, study, participant)


def _names_its_version(trial: Trial, before: Participant, group: Group, terms: Terms) -> None:
    if terms.if_match is not None or terms.historical:
        return
    if not any(isinstance(posted.body, Decision) for posted in group.posted):
        return
    if trial.protocol_of(before).settings.decisions_need_if_match:
        raise PreconditionRequired("a decision names the version it rests on")


def _touches_protected(body: Event) -> bool:
    return has_protected(body) or isinstance(body, Corrected)
