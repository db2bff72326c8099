"""Reusable texts, put into flows when they are published."""
