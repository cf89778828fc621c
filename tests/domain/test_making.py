"""What a maker makes is what the class makes, and as frozen."""

from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from domain.making import changing, maker


@dataclass(frozen=True, slots=True)
class Stone:
    weight: int
    colour: str = "grey"
    marks: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pebble:
    marks: tuple[int, ...]


@dataclass(frozen=True)
class Loose:
    weight: int


@dataclass(frozen=True, slots=True)
class Weighed:
    weight: int

    def __post_init__(self) -> None:
        assert self.weight > 0


stone = maker(Stone)


def test_what_is_made_equals_what_the_class_makes() -> None:
    assert stone(3) == Stone(3)
    assert stone(3, "red", {"a": 1}) == Stone(3, "red", {"a": 1})
    assert stone(weight=3, colour="red") == Stone(3, "red")
    assert type(stone(3)) is Stone
    assert repr(stone(3)) == repr(Stone(3))
    assert stone(3).marks is not stone(3).marks


def test_what_is_made_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        stone(3).weight = 4  # type: ignore[misc]


def test_what_the_class_does_not_take_is_not_taken() -> None:
    with pytest.raises(TypeError):
        stone()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        stone(3, size=4)  # type: ignore[call-arg]


@pytest.mark.parametrize("cls", [Loose, Weighed, int])
def test_only_what_is_made_by_assignments_has_a_maker(cls: type[object]) -> None:
    with pytest.raises(TypeError):
        maker(cls)


def test_what_is_changed_is_as_if_it_was_replaced() -> None:
    changed, was = changing(Stone), Stone(3, "red", {"a": 1})
    assert changed(was, weight=4) == replace(was, weight=4)
    assert changed(was, colour="blue", weight=5) == Stone(5, "blue", {"a": 1})
    assert changed(was).marks is was.marks
    assert was == Stone(3, "red", {"a": 1})


def test_the_only_field_is_changed_as_one_of_many() -> None:
    assert changing(Pebble)(Pebble((1, 2)), marks=(3,)) == Pebble((3,))


def test_a_field_that_there_is_not_is_not_changed() -> None:
    with pytest.raises(TypeError):
        changing(Stone)(Stone(3), size=4)
