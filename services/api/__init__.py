"""The REST interface: thin routes over recording, views and the ledger."""

from services.api.app import create_app

__all__ = ["create_app"]
