"""One-time addresses by which other systems wake conversations."""
