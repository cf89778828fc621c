"""Calendar feeds: what each shows, and whether its token still opens it."""

from dataclasses import dataclass
from datetime import datetime

from infra.postgres.pool import Pool, borrowed
from infra.postgres.statements import load

SQL = load("feeds")


@dataclass(frozen=True, slots=True)
class FeedKept:
    """A feed of a study, of one of its sites, or of one participant."""

    study: str
    feed: str
    """Its name within the study; no secret."""
    site: str | None
    participant: str | None
    made_by: str
    made_at: datetime
    revoked_at: datetime | None = None


class FeedStore:
    """Feeds in the ledger's database. All of it raises StoreAway."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def keep(self, feed: FeedKept, digest: bytes) -> None:
        """Keep a new feed with the digest of its token. It is committed before the token is told;
        after a crash between the two nobody knows the token, and the feed can be revoked."""
        row = {
            "study": feed.study,
            "feed": feed.feed,
            "digest": digest,
            "site": feed.site,
            "participant": feed.participant,
            "made_by": feed.made_by,
            "made_at": feed.made_at,
        }
        with borrowed(self._pool) as connection:
            connection.execute(SQL["keep"], row)

    def find(self, study: str, digest: bytes) -> FeedKept | None:
        """The feed of a study that a token with this digest opens, revoked or not."""
        asked = {"study": study, "digest": digest}
        with borrowed(self._pool) as connection:
            row = connection.execute(SQL["find"], asked).fetchone()
        return None if row is None else FeedKept(*row)

    def page(self, study: str, site: str | None, after: str, limit: int) -> list[FeedKept]:
        """At most `limit` feeds of a study (and a site) after a name."""
        asked = {"study": study, "site": site, "after": after, "limit": limit}
        with borrowed(self._pool) as connection:
            return [FeedKept(*row) for row in connection.execute(SQL["page"], asked)]

    def revoke(
        self, study: str, feed: str, site: str | None, by: str, at: datetime
    ) -> FeedKept | None:
        """Let the feed's token open nothing any more; None when there is no such feed."""
        asked = {"study": study, "feed": feed, "site": site, "by": by, "at": at}
        with borrowed(self._pool) as connection:
            row = connection.execute(SQL["revoke"], asked).fetchone()
        return None if row is None else FeedKept(*row)
