"""Frozen objects, made at the price of others: the few classes of which there is one per event."""

import operator
from collections.abc import Callable
from dataclasses import field, fields, make_dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Changed(Protocol[T]):
    """An object as it was, but for the fields that are named."""

    def __call__(self, was: T, /, **changes: Any) -> T:
        """The object with the changes; TypeError for a field that it does not have."""


def maker(cls: Callable[P, T]) -> Callable[P, T]:
    """What makes objects of a frozen, slotted dataclass; it is called as the class itself is.

    A frozen class sets each of its own fields by way of `object.__setattr__`, which costs four
    times as much as the assignment. Here they are assigned to an object of a class with the same
    slots, which then becomes one of the frozen class. TypeError for any other class.
    """
    frozen: Any = cls

    def freeze(made: Any) -> None:
        made.__class__ = frozen

    parts: list[tuple[str, Any, Any]] = []
    for one in fields(frozen):
        as_there: dict[str, Any] = {"default": one.default, "default_factory": one.default_factory}
        parts.append((one.name, Any, field(**as_there)))
    unfrozen: Any = make_dataclass(
        frozen.__name__, parts, slots=True, namespace={"__post_init__": freeze}
    )
    same = getattr(frozen, "__slots__", None) == unfrozen.__slots__
    if not same or hasattr(frozen, "__post_init__"):
        raise TypeError("only a dataclass with slots and nothing else to do when it is made")
    made: Callable[P, T] = unfrozen
    return made


def changing(cls: Callable[..., T]) -> Changed[T]:
    """As `dataclasses.replace` for a class that has a maker, without looking at every field."""
    names = [one.name for one in fields(cls)]  # type: ignore[arg-type]
    places = {name: place for place, name in enumerate(names)}
    made, values = maker(cls), operator.attrgetter(*names)
    several = len(names) > 1

    def changed(was: T, /, **changes: Any) -> T:
        now = list(values(was)) if several else [values(was)]
        try:
            for name, value in changes.items():
                now[places[name]] = value
        except KeyError as unknown:
            raise TypeError(f"no such field: {unknown}") from None
        return made(*now)

    return changed
