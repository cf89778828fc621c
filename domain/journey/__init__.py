"""The participant's journey, a chapter a file, always in one order: events, state, check, evolve, conclude."""
