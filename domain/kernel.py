"""The few shapes that everything else uses: events, the envelope around them, refusals.

An event's body says what happened; the envelope says who recorded it, when, and where it stands.
"""

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, core_schema

from domain.time import When

PROVISIONAL = 2**53
"""Positions from here on stand for events that are not appended yet: PROVISIONAL + k is the k-th of
its append. No posted integer reaches this far, so the ledger can replace them without doubt."""


class Kind(StrEnum):
    """What an event is: a report of reality, a gated act, or what follows from the facts."""

    FACT = "fact"
    DECISION = "decision"
    CONCLUSION = "conclusion"


class Strict(BaseModel):
    """A closed, frozen record: unknown fields and silent conversions are refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


class Event(Strict):
    """The body of an event. Subclasses set `type` (kebab-case, for ever) and `kind`."""

    kind: ClassVar[Kind]
    schema_version: ClassVar[int] = 1
    reason_required: ClassVar[bool] = False

    type: str


class Fact(Event):
    """A report of what happened. Reality is not refused."""

    kind: ClassVar[Kind] = Kind.FACT


class Decision(Event):
    """An act that the system gates: refused, with the blocking rule, unless every rule holds."""

    kind: ClassVar[Kind] = Kind.DECISION


Key = tuple[str, ...]


class Conclusion(Event):
    """What the system derives from the facts under the protocol in force, and can recompute."""

    kind: ClassVar[Kind] = Kind.CONCLUSION

    evidence: Annotated[tuple[int, ...], Field(strict=False)] = ()
    """Positions of the events that the conclusion rests on, ascending."""
    cleared: Literal[True] | None = None
    """Set when an earlier conclusion of the same key no longer holds."""

    @abstractmethod
    def key(self) -> Key:
        """What the conclusion is about; at most one conclusion of a key stands at a time."""

    @abstractmethod
    def substance(self) -> tuple[object, ...]:
        """What must differ for the conclusion to be recorded anew; evidence alone does not."""


class Actor(Strict):
    """Who recorded an event, and in which role."""

    id: str
    role: str


@dataclass(frozen=True, slots=True)
class Proposed:
    """An event as somebody wants it recorded, with the circumstances it is judged in."""

    body: Event
    occurred_at: When
    actor: Actor
    now: datetime
    """The instant of recording, as the shell's clock has it."""
    participant: str | None = None
    source: str | None = None
    id: str | None = None
    reason: str | None = None
    recorded_at_source: When | None = None
    birth: When | None = None
    """The participant's birth date, unsealed for this judgement only; never recorded in clear."""
    historical: bool = False
    """Imported from another system's record: a decision in it was taken there, before."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The envelope: an event as the ledger has it."""

    body: Event
    position: int
    """Dense within the study, from 1, in commit order."""
    version: int
    """Dense within the stream, from 1."""
    occurred_at: When
    recorded_at: datetime
    actor: Actor
    participant: str | None = None
    """None for an event of the study's own stream."""
    source: str | None = None
    id: str | None = None
    reason: str | None = None
    recorded_at_source: When | None = None
    protocol: str | None = None
    cause: int | None = None
    """For a conclusion: the position of the event that led to it."""
    previous: str | None = None
    """Leaf hash (hex) of the stream's event before."""
    hash: str = ""
    corrected_by: int | None = None
    """Set while folding: the position of the correction whose data stands here."""

    @property
    def kind(self) -> Kind:
        """Fact, decision or conclusion."""
        return self.body.kind

    @property
    def type(self) -> str:
        """The event's type, kebab-case."""
        return self.body.type


BodyT = TypeVar("BodyT", bound=Event)
BodyT_co = TypeVar("BodyT_co", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True)
class Noted(Generic[BodyT_co]):
    """A fact or decision as a chapter remembers it: its body and where it stands in the log."""

    body: BodyT_co
    recorded: Recorded

    @property
    def when(self) -> When:
        """When it happened."""
        return self.recorded.occurred_at

    @property
    def position(self) -> int:
        """Its position in the study's log."""
        return self.recorded.position

    @property
    def cited(self) -> tuple[int, ...]:
        """The positions to name as evidence: the event's and that of the correction in force."""
        by = self.recorded.corrected_by
        return (self.position,) if by is None else (self.position, by)

    def after(self, other: "Noted[Any]") -> bool:
        """Whether it comes later than the other in effective time.

        Of what happened at the same moment the content decides, then who sent it: the same in
        whatever order the facts arrived.
        """
        when, other_when = self.recorded.occurred_at, other.recorded.occurred_at
        if when is not other_when:
            mine, others = when.earliest(), other_when.earliest()
            if mine != others:
                return mine > others
            if when.text != other_when.text:
                return when.text > other_when.text
        kind: str = self.body.type
        other_kind: str = other.body.type
        if kind != other_kind:
            return kind > other_kind
        content, other_content = _first_difference(self.body, other.body)
        if content != other_content:
            return content > other_content
        sent = (self.recorded.source or "", self.recorded.id or "")
        return sent > (other.recorded.source or "", other.recorded.id or "")

    def rank(self) -> "Rank":
        """The place in effective time, as a key to sort by."""
        return Rank(self)


class Rank:
    """Orders noted facts by effective time; what they say is looked at only where times are the
    same."""

    __slots__ = ("_noted",)

    def __init__(self, noted: Noted[Any]) -> None:
        self._noted = noted

    def __lt__(self, other: "Rank") -> bool:
        return other._noted.after(self._noted)


_PLAIN = (str, bool, int, type(None))
"""Types whose equal values also read alike; equal decimals may be written differently."""


def _first_difference(one: Event, other: Event) -> tuple[str, str]:
    """How two bodies read where they first differ; two empty texts where they do not."""
    fields, others = one.__dict__, other.__dict__
    for name, value in fields.items():
        known = others.get(name)
        if value is known or (
            type(value) in _PLAIN and type(value) is type(known) and value == known
        ):
            continue
        text, other_text = repr(value), repr(known)
        if text != other_text:
            return text, other_text
    return "", ""


def joined(
    facts: tuple[Noted[BodyT], ...], body: BodyT, recorded: Recorded
) -> tuple[Noted[BodyT], ...]:
    """The facts with one more, in the order of effective time (not of arrival)."""
    one = Noted(body, recorded)
    if not facts or not facts[-1].after(one):
        return (*facts, one)
    place = bisect_right(facts, one.rank(), 0, len(facts) - 1, key=Noted.rank)
    return (*facts[:place], one, *facts[place:])


def in_order(facts: Sequence[Noted[BodyT]]) -> tuple[Noted[BodyT], ...]:
    """The facts of a whole history as `joined` has them when the last one has come."""
    if any(one.after(following) for one, following in pairwise(facts)):
        facts = sorted(facts, key=Noted.rank)
    return tuple(facts)


def cited(*facts: Noted[Any] | None) -> tuple[int, ...]:
    """Evidence positions of several facts, ascending and without repeats."""
    return tuple(sorted({p for fact in facts if fact is not None for p in fact.cited}))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document: where, and which rule it breaks; never the value."""

    pointer: str
    rule: str


class Refusal(Exception):
    """The domain says no. `rule` is kebab-case; `blocked_by` are the positions it rests on."""

    status: ClassVar[int]
    problem: ClassVar[str]

    def __init__(self, rule: str, detail: str, blocked_by: tuple[int, ...] = ()) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail
        self.blocked_by = blocked_by
        self.participant: str | None = None
        self.index: int | None = None
        """Which of several events proposed together for the participant, where that is known."""


class Refused(Refusal):
    """A decision that a rule blocks."""

    status = 409
    problem = "refused"


class Impossible(Refusal):
    """A report of something that cannot have happened."""

    status = 422
    problem = "impossible"


class WouldDeviate(Refusal):
    """A fact that breaks the protocol, where the sender asked for strict handling."""

    status = 409
    problem = "would-deviate"

    def __init__(self, rules: tuple[str, ...], blocked_by: tuple[int, ...] = ()) -> None:
        super().__init__(rules[0], "the fact would be recorded with a deviation", blocked_by)
        self.rules = rules


def _written_by_cairn(value: object, info: ValidationInfo) -> object:
    if info.context is not None and info.context.get("stored"):
        return value
    raise PydanticCustomError("read-only", "is written by Cairn and cannot be posted")


WrittenByCairn = BeforeValidator(_written_by_cairn)
"""Marks a field that only Cairn fills: refused at the door, read back from the ledger."""


# --- field types used by many chapters ---------------------------------------------------------

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]*$", max_length=64)]
"""A short coded value: a site, a visit, a form version, a dictionary code."""

Term = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A term in a coded field of the record (a drug's name, an event's term); never about a person."""

ParticipantId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$", min_length=1, max_length=64)
]

DECIMAL_DIGITS_MAX = 40
DECIMALS_KEPT = 4_096
DECIMAL_KEPT_CHARACTERS = 24
"""Texts of decimals up to this length are remembered with their numbers: results repeat."""


def _decimal(value: object) -> Decimal:
    if type(value) is str and len(value) <= DECIMAL_KEPT_CHARACTERS:
        return _kept(value)
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise PydanticCustomError("decimal", "must be a number or a decimal string")
    return _number(value)


def _number(value: int | str | Decimal) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise PydanticCustomError("decimal", "is not a decimal number") from None
    if not number.is_finite() or len(number.as_tuple().digits) > DECIMAL_DIGITS_MAX:
        raise PydanticCustomError("decimal", "is not a finite number of reasonable length")
    if abs(number.adjusted()) > DECIMAL_DIGITS_MAX:
        raise PydanticCustomError("decimal", "is not a finite number of reasonable length")
    return number


@lru_cache(maxsize=DECIMALS_KEPT)
def _kept(text: str) -> Decimal:
    return _number(text)


def _plain(number: Decimal) -> str:
    return format(number, "f")


Number = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    PlainSerializer(_plain, return_type=str),
    WithJsonSchema(
        {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[+-]?\d+(\.\d+)?$"}]}
    ),
]
"""An exact decimal: a JSON number or a decimal string; kept and shown as a decimal string."""


class Sealed(Strict):
    """A protected value as the ledger keeps it: ciphertext under the participant's key."""

    sealed: str
    key: str


@dataclass(frozen=True, slots=True)
class Clear:
    """A protected value on its way in. It never prints, and it cannot be written to the ledger."""

    value: Any = field(repr=False)

    def __str__(self) -> str:
        return "(protected)"


STORED: Mapping[str, bool] = {"stored": True}
"""Validation context for bodies read back from the ledger: protected fields are sealed there."""


Protected = Sealed | Clear
"""A protected field's value: clear at the door, sealed ever after."""


class Protects:
    """Marks a field as protected: `Annotated[Protected | None, Protects(Contact)]`."""

    def __init__(self, of: Any) -> None:
        self.clear: TypeAdapter[Any] = TypeAdapter(of)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(self._write),
        )

    def __get_pydantic_json_schema__(self, _core: Any, _handler: Any) -> dict[str, Any]:
        schema = self.clear.json_schema(mode="validation")
        schema.pop("$defs", None)
        return {**schema, "x-protected": True}

    def _read(self, value: object, info: ValidationInfo) -> Protected | None:
        if value is None or isinstance(value, Sealed | Clear):
            return value
        if info.context is not None and info.context.get("stored"):
            return Sealed.model_validate(value)
        try:
            return Clear(self.clear.validate_python(value))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise PydanticCustomError(
                "protected", "{rule} at {where}", {"rule": first["type"], "where": where or "."}
            ) from None

    @staticmethod
    def _write(value: Protected | None) -> dict[str, str] | None:
        if value is None:
            return None
        if isinstance(value, Clear):
            raise TypeError("a protected value must be sealed before it is written")
        return {"sealed": value.sealed, "key": value.key}
