"""Safety: what an adverse event is, which duties it starts, what it means for the study."""
