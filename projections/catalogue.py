"""Every view, by name."""

from projections import deviations, eligibility, enrolment, safety, schedule
from projections.view import View

VIEWS: tuple[View, ...] = (
    deviations.VIEW,
    eligibility.VIEW,
    enrolment.VIEW,
    safety.VIEW,
    schedule.VIEW,
)
