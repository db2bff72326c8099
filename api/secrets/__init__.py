"""Secrets by name: written, never read back."""
