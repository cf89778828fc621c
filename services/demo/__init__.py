"""A synthetic cohort of LK-23-01: invented people, so that every view has something to show."""
