"""Flows: validated, and published as versions that never change."""
