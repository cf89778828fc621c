"""The pure core: what can happen to a participant, what follows from it, and what is refused."""
