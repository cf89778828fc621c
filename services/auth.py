"""Local tokens: signed with a key in the data folder, good for loopback and development.

A token is `cairn1.<claims>.<HMAC-SHA256>`; the claims are base64url JSON. Nothing is stored:
another key file (`<data>/token-key`) makes every token worthless at once.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import Field, ValidationError

from domain.kernel import Actor, Code, Strict
from infra.vault.keyring import wrapping_key
from services.roles import Role

PREFIX = "cairn1"
TOKEN_MAX_CHARACTERS = 2_048


class Unauthenticated(Exception):
    """No token, or one that is not valid here."""


class Claims(Strict):
    """What a token says about who carries it."""

    role: Role
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._@:+-]{1,64}$")]
    """Who acts, as the events name it."""
    study: Code | None = None
    """The only study it opens; None: every study."""
    site: Code | None = None
    """The only site whose participants it opens; None: every site."""
    types: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """For a system: the only event types it posts."""
    expires: Annotated[int, Field(ge=0)] | None = None
    """Seconds since 1970-01-01T00:00:00Z; None: with the key."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    claims: Claims
    actor: Actor = field(init=False, compare=False)
    """As an event's envelope names who recorded it."""
    source: str = field(init=False, compare=False)
    """The source of events that name none: the authenticated client."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "actor", Actor(id=self.claims.id, role=self.claims.role))
        object.__setattr__(self, "source", f"urn:cairn:client:{self.claims.id}")

    @property
    def role(self) -> Role:
        """The role the token gives."""
        return self.claims.role

    def opens_study(self, study: str) -> bool:
        """Whether the study is within the token's scope."""
        return self.claims.study in (None, study)

    def opens_site(self, site: str | None) -> bool:
        """Whether a site's participants are within the token's scope."""
        return self.claims.site in (None, site)

    @property
    def whole_study(self) -> bool:
        """Whether no site narrows the token."""
        return self.claims.site is None


class Tokens:
    """Makes and checks local tokens."""

    def __init__(self, key: bytes, clock: Callable[[], datetime]) -> None:
        self._key = hmac.digest(key, b"cairn local tokens v1", hashlib.sha256)
        self._clock = clock
        self._known: dict[str, Caller] = {}

    def issue(
        self,
        role: Role,
        *,
        study: str | None = None,
        site: str | None = None,
        identity: str | None = None,
        types: tuple[str, ...] | None = None,
        expires: datetime | None = None,
    ) -> str:
        """A token of the role, narrowed to a study and a site where they are given."""
        claims = Claims(
            role=role,
            id=identity or _identity(role, study, site),
            study=study,
            site=site,
            types=types,
            expires=None if expires is None else int(expires.timestamp()),
        )
        said = _text(orjson.dumps(claims.model_dump(exclude_none=True)))
        return f"{PREFIX}.{said}.{_text(self._mac(said))}"

    def caller(self, token: str) -> Caller:
        """Who carries the token. Raises Unauthenticated."""
        found = self._known.get(token)
        if found is None:
            found = Caller(self._claims(token))
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[token] = found
        expires = found.claims.expires
        if expires is not None and self._clock().timestamp() >= expires:
            raise Unauthenticated
        return found

    def _claims(self, token: str) -> Claims:
        parts = token.split(".")
        if len(token) > TOKEN_MAX_CHARACTERS or len(parts) != 3 or parts[0] != PREFIX:
            raise Unauthenticated
        try:
            mac = _bytes(parts[2])
            if not hmac.compare_digest(mac, self._mac(parts[1])):
                raise Unauthenticated
            return Claims.model_validate(orjson.loads(_bytes(parts[1])))
        except (binascii.Error, ValueError, ValidationError):
            raise Unauthenticated from None

    def _mac(self, said: str) -> bytes:
        return hmac.digest(self._key, f"{PREFIX}.{said}".encode(), hashlib.sha256)


KNOWN_MAX = 1_000
"""Tokens whose signature was checked and is remembered."""


def open_tokens(data: Path, clock: Callable[[], datetime]) -> Tokens:
    """The tokens of a data folder; its key is made on first use (0600)."""
    return Tokens(wrapping_key(data / "token-key"), clock)


def _identity(role: Role, study: str | None, site: str | None) -> str:
    return "@".join(part for part in (role, "-".join(p for p in (study, site) if p)) if part)[:64]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    raw = base64.b64decode(padded, altchars=b"-_", validate=True)
    if _text(raw) != text:
        raise ValueError("not the canonical form")
    return raw
