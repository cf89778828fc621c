"""What if: a whole cohort, or one participant, under a draft protocol or with events that nobody
has recorded. The ledger, the views, the documents and the keys are only read."""

from services.what_if.asked import Supposed, draft_of, supposed
from services.what_if.cohort import Cohort, cohort_under
from services.what_if.report import Compared, Report
from services.what_if.single import single

__all__ = [
    "Cohort",
    "Compared",
    "Report",
    "Supposed",
    "cohort_under",
    "draft_of",
    "single",
    "supposed",
]
