"""Frozen objects, made at the price of others: the few classes of which there is one per event."""

from collections.abc import Callable
from dataclasses import field, fields, make_dataclass
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


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
