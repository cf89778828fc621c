"""Participants' names: what one may look like, and those that Cairn chooses."""

import re
import secrets

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Digits and letters that nobody confuses when they are read aloud."""

LENGTH_CHARACTERS = 10

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def is_name(text: str) -> bool:
    """Whether a participant may be called so."""
    return _NAME.fullmatch(text) is not None


def chosen_name() -> str:
    """A random name that says nothing about the person: `P-` and ten characters."""
    return "P-" + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH_CHARACTERS))
