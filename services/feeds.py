"""Calendar feeds: their tokens stand in URLs, open one feed and nothing else, and can be revoked.

A token is `cairnfeed1.` and 256 random bits; only its SHA-256 is kept.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from infra.feeds import FeedKept, FeedStore
from services.auth import Unauthenticated
from services.state import NotFound

PREFIX = "cairnfeed1."
TOKEN_BYTES = 32
TOKEN_MAX_CHARACTERS = 100
NAME_BYTES = 8


class CalendarFeeds:
    """Makes, opens and revokes feeds. All of it blocks, and raises StoreAway."""

    def __init__(self, store: FeedStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def make(
        self, study: str, *, site: str | None, participant: str | None, by: str
    ) -> tuple[dict[str, Any], str]:
        """A new feed as it is shown, and its token, which nobody can read again."""
        token = PREFIX + _text(secrets.token_bytes(TOKEN_BYTES))
        name = secrets.token_hex(NAME_BYTES)
        feed = FeedKept(study, name, site, participant, by, self._clock())
        self._store.keep(feed, _digest(token))
        return shown(feed), token

    def opened(self, study: str, token: str) -> FeedKept:
        """The feed of the study that a token opens. Raises Unauthenticated."""
        if len(token) > TOKEN_MAX_CHARACTERS or not token.startswith(PREFIX):
            raise Unauthenticated
        feed = self._store.find(study, _digest(token))
        if feed is None or feed.revoked_at is not None:
            raise Unauthenticated
        return feed

    def page(
        self, study: str, site: str | None, after: str, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Feeds as they are shown, revoked ones too, and after which one the next page begins."""
        found = self._store.page(study, site, after, limit)
        more = found[-1].feed if len(found) == limit else None
        return [shown(one) for one in found], more

    def revoke(self, study: str, feed: str, site: str | None, by: str) -> dict[str, Any]:
        """Take back a feed's token; again is as once. Raises NotFound."""
        revoked = self._store.revoke(study, feed, site, by, self._clock())
        if revoked is None:
            raise NotFound("calendar")
        return shown(revoked)


def shown(feed: FeedKept) -> dict[str, Any]:
    """A feed as the API shows it; never its token."""
    return {
        "calendar": feed.feed,
        "site": feed.site,
        "participant": feed.participant,
        "made_by": feed.made_by,
        "made_at": _instant(feed.made_at),
        "revoked_at": None if feed.revoked_at is None else _instant(feed.revoked_at),
    }


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
