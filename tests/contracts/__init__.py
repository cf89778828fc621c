"""Contracts of adapters."""
