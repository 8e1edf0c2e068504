"""Alembic migrations of the store."""

from __future__ import annotations

__all__ = ["HEAD"]

# The newest revision in versions/. Known without Alembic, so that an up-to-date database opens without it.
HEAD = "0004"
