"""What the projector takes: anything shaped like a view."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol

from domain.kernel import Event
from domain.participant import Participant
from domain.trial.study import Trial

Column = str | int | bool | date | datetime | None

Basis = Callable[[Trial, Participant], tuple[object, ...]]


class RowShape(Protocol):
    """A row: its place, the columns it is found by, and what is shown of it."""

    @property
    def participant(self) -> str:
        """Whose row it is."""

    @property
    def key(self) -> str:
        """Unique among the participant's rows of the view."""

    @property
    def columns(self) -> Mapping[str, Column]:
        """The columns beyond place and item, by name."""

    @property
    def item(self) -> Mapping[str, Any]:
        """What is shown, as plain JSON."""


class ViewShape(Protocol):
    """A view: what its rows are, and how it is kept."""

    @property
    def name(self) -> str:
        """Its name; that of its `.sql` file too."""

    @property
    def version(self) -> int:
        """Which version of its rows and table."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns of its table between place and item, in the table's order."""

    @property
    def halts(self) -> bool:
        """Whether it stops at what cannot be projected, instead of leaving a participant out."""

    @property
    def package(self) -> str:
        """The package in which its `.sql` file stands."""

    @property
    def basis(self) -> Basis | None:
        """What the rows rest on, compared by identity; None: on everything."""

    def of(self, trial: Trial, participant: Participant) -> Mapping[str, RowShape]:
        """The participant's rows by key."""

    def parts(
        self, trial: Trial, participant: Participant
    ) -> Mapping[str, tuple[object, ...]] | None:
        """What each row is made of, by key: equal parts make equal rows. None: only rows tell."""

    def made(self, participant: str, key: str, part: tuple[object, ...]) -> RowShape:
        """The row that is made of a part."""

    def row(
        self, participant: str, key: str, columns: Mapping[str, Column], item: Mapping[str, Any]
    ) -> RowShape:
        """A row read back from the table."""

    def rests_on(self, event: Event) -> bool:
        """Whether an event of the study's stream may change anybody's rows."""

    def reaches(self, event: Event, participant: Participant) -> bool:
        """Whether an event of the study's stream may change the participant's rows."""
