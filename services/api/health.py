"""Whether the process lives and whether it may be trusted with events; figures for Prometheus."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from services.api import access
from services.api.replies import json_reply
from services.health import readiness

router = APIRouter(tags=["Health"])


@router.get("/health/live")
def get_live() -> Response:
    """Whether the process answers."""
    return json_reply({"status": "live"})


@router.get("/health/ready")
def get_ready(request: Request) -> Response:
    """Whether the store is there, safe and of this version; 503 with the reasons when not."""
    content = readiness(access.cairn_of(request))
    return json_reply(content, 503 if content["problems"] else 200)


@router.get("/metrics")
def get_metrics(request: Request) -> Response:
    """Figures in Prometheus' text format."""
    measures = request.app.state.measures
    measures.lags.look(access.cairn_of(request))
    return Response(generate_latest(measures.registry), media_type=CONTENT_TYPE_LATEST)
