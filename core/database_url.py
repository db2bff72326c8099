"""The database's address, as the driver takes it."""

from __future__ import annotations


def driver_url(url: str) -> str:
    """`url` as asyncpg takes it: `postgresql://...`, also with a socket folder in `?host=`.

    Raises ValueError for an address of another kind.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in {"postgres", "postgresql"}:
        raise ValueError("the database's address must start with postgresql://")
    return f"postgresql://{rest}"
