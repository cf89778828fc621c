"""From what was judged to what the ledger takes, and from what it took to answers."""

from collections.abc import Mapping, Sequence

from domain.admit import Admitted
from domain.kernel import PROVISIONAL, Conclusion, Recorded
from domain.making import maker
from domain.participant import Participant
from domain.trial.study import Trial
from infra.ledger.envelope import template
from infra.ledger.types import STUDY_STREAM, Append, Appended, Draft
from services.terms import Answer, Place

Fingerprints = Mapping[tuple[str, str | None, str], bytes]
"""(stream, source, id) of a posted event -> digest of its content."""

_draft = maker(Draft)

Judged = Sequence[tuple[Participant, Admitted]]
"""What was judged: each participant before, and what is recorded for it."""


def append_of(
    trial: Trial, judged: Judged, fingerprints: Fingerprints, *, follows_study: bool
) -> Append:
    """One append of everything that was judged, on the versions it was judged on.

    With `follows_study` it commits only while the study's stream stands where it was judged.
    """
    drafts: list[Draft] = []
    head, version, first = trial.head, trial.version, first_of(judged)
    for before, admitted in judged:
        drafts += drafts_of(
            "participant", before.id, before.head, admitted.participant, fingerprints, first
        )
        drafts += drafts_of(
            "study",
            STUDY_STREAM,
            head if version == trial.version else None,
            admitted.study,
            fingerprints,
            first,
        )
        version += len(admitted.study)
    return Append(tuple(drafts), trial.version if follows_study else None)


def drafts_of(
    family: str,
    stream: str,
    head: str | None,
    events: Sequence[Recorded],
    fingerprints: Fingerprints,
    first: int = PROVISIONAL,
) -> list[Draft]:
    """Drafts of consecutive events of one stream; the first follows `head`, the others each other.

    `first` is the position that the first event of the whole append was judged at.
    A head of None with a version above 1 means: what comes before is in the same append.
    """
    return [
        _draft(
            stream=stream,
            version=event.version,
            topic=f"{family}.{event.type}.v{event.body.schema_version}",
            template=template(
                event,
                known_previous=head if index == 0 else None,
                in_same_append=index > 0 or (head is None and event.version > 1),
                first=first,
            ),
            source=event.source if event.id is not None else None,
            event_id=event.id,
            fingerprint=(
                fingerprints[stream, event.source, event.id] if event.id is not None else None
            ),
        )
        for index, event in enumerate(events)
    ]


def first_of(judged: Judged) -> int:
    """The position that the first event of an append was judged at."""
    return judged[0][1].events[0].position


def answers_of(outcome: Appended, judged: Judged) -> list[Answer]:
    """What was recorded, participant by participant."""
    answers: list[Answer] = []
    start = 0
    for before, admitted in judged:
        stored = outcome.stored[start : start + len(admitted.events)]
        start += len(admitted.events)
        places = tuple(
            Place(one.position, one.version, replayed=False)
            for one, event in zip(stored, admitted.participant, strict=False)
            if not isinstance(event.body, Conclusion)
        )
        version = stored[len(admitted.participant) - 1].version
        answers.append(Answer(before.id, version, places[0].position, stored, places))
    return answers
