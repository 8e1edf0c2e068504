"""The store's queries for what accounts configure: redaction by entity, and custom vocabularies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Table, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ids import new_ulid
from gateway.store.database import Queries
from gateway.store.records import ConfigurationRecord, PhraseRecord
from gateway.store.schema import configurations, custom_vocabularies, redaction_policies

__all__ = ["ConfigurationQueries", "NotAdded"]


class NotAdded(StrEnum):
    """Why a phrase was not added."""

    DUPLICATE = "duplicate"
    FULL = "full"


class ConfigurationQueries(Queries):
    """Every query goes by the account; a change is committed when its method returns."""

    async def configuration_revisions(self) -> dict[str, int]:
        """How often each account has changed its configuration; accounts that never did are left out."""
        async with self._read() as connection:
            found = (await connection.execute(select(configurations.c.account_id, configurations.c.revision))).all()
        return {str(account_id): int(revision) for account_id, revision in found}

    async def configuration(self, account_id: str) -> ConfigurationRecord:
        """All that the account has configured."""
        revision = select(configurations.c.revision).where(configurations.c.account_id == account_id)
        policies = select(redaction_policies.c.entity, redaction_policies.c.active).where(
            redaction_policies.c.account_id == account_id
        )
        phrases = select(custom_vocabularies).where(custom_vocabularies.c.account_id == account_id)
        async with self._read() as connection:
            # First: a change that comes between the queries then leaves a revision too low, and is read again.
            counted = await connection.scalar(revision)
            active = (await connection.execute(policies)).all()
            found = (await connection.execute(phrases)).mappings().all()
        return ConfigurationRecord(
            revision=int(counted or 0),
            redaction={str(entity): bool(on) for entity, on in active},
            # By their characters, whatever the database's collation.
            phrases=tuple(sorted(map(_phrase, found), key=lambda phrase: phrase.phrase_id)),
        )

    async def set_redaction(self, account_id: str, entity: str, active: bool) -> None:
        """Turn redaction of an entity on or off."""
        async with self._write() as connection:
            await self._count_up(connection, account_id)
            values = {"account_id": account_id, "entity": entity, "active": active}
            await connection.execute(_upsert(connection, redaction_policies, values, {"active": active}))

    async def add_phrase(
        self, account_id: str, phrase: str, sounds_like: Sequence[str], *, limit: int
    ) -> PhraseRecord | NotAdded:
        """Add a phrase; not if the account has it (in any case), or has ``limit`` phrases."""
        record = PhraseRecord(new_ulid(), phrase, tuple(sounds_like))
        folded = phrase.casefold()
        ours = custom_vocabularies.c.account_id == account_id
        async with self._write() as connection:
            # Until the commit this holds back what another process would add.
            await self._count_up(connection, account_id)
            query = select(func.count()).select_from(custom_vocabularies).where(ours)
            if await connection.scalar(query.where(custom_vocabularies.c.folded == folded)):
                return NotAdded.DUPLICATE
            if (await connection.scalar(query) or 0) >= limit:
                return NotAdded.FULL
            await connection.execute(
                insert(custom_vocabularies).values(
                    phrase_id=record.phrase_id,
                    account_id=account_id,
                    phrase=phrase,
                    folded=folded,
                    sounds_like=list(sounds_like),
                    created_at=datetime.now(UTC),
                )
            )
        return record

    async def remove_phrase(self, account_id: str, phrase_id: str) -> PhraseRecord | None:
        """Remove a phrase; None if the account has none of that id."""
        this = (custom_vocabularies.c.account_id == account_id, custom_vocabularies.c.phrase_id == phrase_id)
        async with self._write() as connection:
            await self._count_up(connection, account_id)
            found = (await connection.execute(select(custom_vocabularies).where(*this))).mappings().first()
            if found is None:
                return None
            await connection.execute(delete(custom_vocabularies).where(*this))
        return _phrase(found)

    @staticmethod
    async def _count_up(connection: AsyncConnection, account_id: str) -> None:
        """The account's configuration changes: on PostgreSQL its other changes wait for this transaction's end."""
        values = {"account_id": account_id, "revision": 1}
        more = {"revision": configurations.c.revision + 1}
        await connection.execute(_upsert(connection, configurations, values, more))


def _upsert(connection: AsyncConnection, table: Table, values: dict[str, Any], changes: dict[str, Any]) -> Any:
    """Insert ``values``, or change the row of the same key."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    key = [column.name for column in table.primary_key]
    return make(table).values(values).on_conflict_do_update(index_elements=key, set_=changes)


def _phrase(row: Any) -> PhraseRecord:
    return PhraseRecord(row["phrase_id"], row["phrase"], tuple(row["sounds_like"]))
