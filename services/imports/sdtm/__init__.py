"""SDTM datasets as journeys: what each row says becomes the events that say the same."""
