"""Bringing in what other systems recorded: through the same door, as history."""
