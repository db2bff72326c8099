"""Uploads of visitors and agents, and the signed links that serve them."""
