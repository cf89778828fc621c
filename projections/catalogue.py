"""Every view, by name."""

from projections import calendar, deviations, eligibility, enrolment, safety, schedule
from projections.view import View

VIEWS: tuple[View, ...] = (
    calendar.VIEW,
    deviations.VIEW,
    eligibility.VIEW,
    enrolment.VIEW,
    safety.VIEW,
    schedule.VIEW,
)
