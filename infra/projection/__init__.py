"""Projection: the ledger's events as the rows of views, live and rebuilt."""
