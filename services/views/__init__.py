"""Views as they are asked for: live from their tables, the past from the log."""

from services.views.asked import Lagging, Page, Query
from services.views.reading import PARTICIPANT_VIEWS, STUDY_VIEWS, Views

__all__ = ["PARTICIPANT_VIEWS", "STUDY_VIEWS", "Lagging", "Page", "Query", "Views"]
