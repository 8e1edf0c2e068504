"""Alembic's environment: runs the migrations on the connection that gateway.store.migrate hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from gateway.store.schema import metadata


def _run() -> None:
    connection: Connection = context.config.attributes["connection"]
    # SQLite alters tables by copying them, which Alembic's batch mode does.
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite"
    )
    context.run_migrations()


_run()
