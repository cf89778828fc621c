"""What answers readers: the store itself, or a hot standby of it."""

from dataclasses import dataclass
from typing import Literal

from infra.documents import Documents
from infra.ledger.ledger import Log
from infra.ledger.types import StoreAway
from infra.postgres.pool import Pool, reading
from services.state import HotState
from services.views import Views


@dataclass(slots=True)
class Reads:
    """What answers readers who ask what there is, and judge nothing by it."""

    log: Log
    documents: Documents
    hot: HotState
    views: Views
    standby: Pool | None = None
    """Where it reads; None: where everything is written."""

    def place(self) -> Literal["primary", "standby", "away"]:
        """Which database answers now."""
        if self.standby is None:
            return "primary"
        try:
            with reading(self.standby) as connection:
                row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
        except StoreAway:
            return "away"
        return "standby" if row is not None and row[0] else "primary"
