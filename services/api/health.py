"""Whether the process lives and whether it may be trusted with events; figures for Prometheus."""

from contextlib import suppress

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from infra.ledger.types import StoreAway
from infra.postgres.migrate import MigrationProblem
from services.api import access
from services.api.replies import json_reply
from services.state import recorded

router = APIRouter(tags=["Health"])


@router.get("/health/live")
def get_live() -> Response:
    """Whether the process answers."""
    return json_reply({"status": "live"})


@router.get("/health/ready")
def get_ready(request: Request) -> Response:
    """Whether the store is there, safe and of this version; 503 with the reasons when not."""
    cairn = access.cairn_of(request)
    try:
        problems = cairn.problems()
        lag = cairn.lag() if not problems else {}
        halted = cairn.halted() if not problems else {}
    except (StoreAway, MigrationProblem) as error:
        problems, lag, halted = [str(error)], {}, {}
    content = {
        "status": "unready" if problems else "ready",
        "problems": problems,
        "lag": lag,
        # A standby that is away makes nothing unready: what is posted goes on.
        "reads": cairn.reads.place(),
        # The ledger and the views go on without brokers: what is not relayed makes nothing unready.
        "relay_halted": halted,
    }
    return json_reply(content, 503 if problems else 200)


@router.get("/metrics")
def get_metrics(request: Request) -> Response:
    """Figures in Prometheus' text format."""
    measures = request.app.state.measures
    cairn = access.cairn_of(request)

    def seconds(study: str, events: int) -> float:
        if not events:
            return 0.0
        (first,) = cairn.ledger.read(study, cairn.ledger.head(study) - events, 1)
        return max(0.0, (cairn.clock() - recorded(first).recorded_at).total_seconds())

    with suppress(StoreAway):
        measures.lags(cairn.lag(), seconds)
        measures.halted(cairn.halted())
    return Response(generate_latest(measures.registry), media_type=CONTENT_TYPE_LATEST)
