"""Room in memory: what a process keeps of participants, bounded by bytes and not by number.

A participant may have five events or five thousand, so a number of participants bounds nothing.
Everything that keeps participants has a shelf in one room; when all shelves together hold more than
the room is for, the least recently touched leave first, whichever shelf they stand on. What leaves
is read from the ledger again when it is asked for.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakSet

MIB = 1024 * 1024
ROOM_MIB = 160
"""Of participants; the program itself, and what else it keeps, is beside it."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Room:
    """So many bytes for all of its shelves; used by any number of threads."""

    def __init__(self, bytes_max: int = ROOM_MIB * MIB) -> None:
        self.bytes_max = bytes_max
        self.lock = threading.Lock()
        self._shelves: WeakSet[Shelf[object, object]] = WeakSet()
        self._bytes = 0
        self._touches = 0

    @property
    def held(self) -> int:
        """How many bytes everything on the shelves is estimated at."""
        with self.lock:
            return self._counted()

    def shelf(self, bytes_of: Callable[[Value], int]) -> "Shelf[Key, Value]":
        """Another shelf; what stands on it takes as many bytes as `bytes_of` estimates. It is gone,
        with all that stands on it, when nobody has it any more."""
        made: Shelf[Key, Value] = Shelf(self, bytes_of)
        with self.lock:
            self._shelves.add(made)  # type: ignore[arg-type]
        return made

    def touched(self) -> int:
        """The next touch; touches are counted so that the oldest of several shelves is known."""
        self._touches += 1
        return self._touches

    def changed(self, by: int) -> None:
        """A shelf holds more or less: let the least recently touched go while it is too much. One
        stays in any case: whoever puts something there may rely on it until something else comes.
        """
        self._bytes += by
        if self._bytes <= self.bytes_max:
            return
        self._bytes = self._counted()  # without shelves that nobody has any more
        while self._bytes > self.bytes_max:
            shelves = [one for one in self._shelves if one.oldest]
            if sum(len(one) for one in shelves) < 2:
                return
            self._bytes -= min(shelves, key=lambda one: one.oldest).let_go()

    def _counted(self) -> int:
        return sum(one.bytes for one in self._shelves)


class Shelf(Generic[Key, Value]):
    """What one part of the process keeps in a room."""

    def __init__(self, room: Room, bytes_of: Callable[[Value], int]) -> None:
        self.bytes = 0
        """Of all that stands here, as estimated; read and changed under the room's lock only."""
        self._room = room
        self._bytes_of = bytes_of
        self._kept: OrderedDict[Key, tuple[Value, int, int]] = OrderedDict()
        """The longest untouched first: value, bytes, number of its last touch."""

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def get(self, key: Key) -> Value | None:
        """What stands there. Looking does not count as a touch: putting does."""
        found = self._kept.get(key)
        return None if found is None else found[0]

    def put(self, key: Key, value: Value) -> None:
        """Keep a value, in the place of what was there, and touch it."""
        now = self._bytes_of(value)
        with self._room.lock:
            before = self._kept.pop(key, None)
            self._kept[key] = value, now, self._room.touched()
            self._add(now if before is None else now - before[1])

    def drop(self, key: Key) -> None:
        """Keep it no longer."""
        with self._room.lock:
            before = self._kept.pop(key, None)
            if before is not None:
                self._add(-before[1])

    def drop_all(self, of: Callable[[Key], bool]) -> None:
        """Keep none of those any longer."""
        with self._room.lock:
            for key in [one for one in self._kept if of(one)]:
                self._add(-self._kept.pop(key)[1])

    @property
    def oldest(self) -> int:
        """The number of the longest ago of the last touches; 0 when nothing stands here."""
        first = next(iter(self._kept.values()), None)
        return 0 if first is None else first[2]

    def let_go(self) -> int:
        """Let the longest untouched go; how many bytes that frees. Under the room's lock."""
        _, (_, freed, _) = self._kept.popitem(last=False)
        self.bytes -= freed
        return freed

    def _add(self, more: int) -> None:
        self.bytes += more
        self._room.changed(more)
