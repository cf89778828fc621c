"""The built-in study as data: its public facts, and beside them an overlay of assumptions."""
