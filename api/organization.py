"""The first organization: whose the bots are until accounts exist."""

from __future__ import annotations

from uuid import UUID

from database.database import Database
from database.public_lookup import ensure_organization

FIRST_SLUG = "default"
FIRST_NAME = "VersaAI"


class FirstOrganization:
    """Finds the first organization once, making it if it isn't there."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._id: UUID | None = None

    async def id(self) -> UUID:
        """Return its id. Raises UnavailableError without a database."""
        if self._id is None:
            async with self._database.session() as session:
                found = await ensure_organization(session, slug=FIRST_SLUG, name=FIRST_NAME)
                self._id = found.id
        return self._id
