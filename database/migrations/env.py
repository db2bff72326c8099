"""Alembic's entry point: runs the revisions on the connection that `database.migrate` hands over."""

from alembic import context

from database.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_type=True,
    compare_server_default=True,
)
context.run_migrations()
