"""CDISC USDM 4.0 in and out: the schedule and the criteria of a study definition.

Nothing in USDM is executable, so what only Cairn knows (rules, clocks, the dictionary) travels in
extension attributes beside the native classes; on the way in the native value stands where both
say something.
"""

from domain.trial.usdm.exporting import exported
from domain.trial.usdm.importing import Imported, imported
from domain.trial.usdm.words import visit_code

__all__ = ["Imported", "exported", "imported", "visit_code"]
