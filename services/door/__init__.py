"""The door: what was sent becomes posted events, or is refused without being echoed."""

from services.door.posted import Posted, posted
from services.door.refused import Invalid, Malformed, TooLarge, UnknownContent

__all__ = ["Invalid", "Malformed", "Posted", "TooLarge", "UnknownContent", "posted"]
