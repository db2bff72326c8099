"""Bots and the versions of their flows."""
