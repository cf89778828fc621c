"""The participant's journey, a chapter a file, always in one order.

Events, state, check, evolve, conclude.
"""
