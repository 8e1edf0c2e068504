"""The store's queries for feeds: accounts, what was said in a stretch of time, and what changed afterwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, Select, delete, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ids import first_ulid
from gateway.store import rows
from gateway.store.database import Queries
from gateway.store.records import CallRecord, MessageRecord
from gateway.store.schema import accounts, calls, feed_changes, message_secrets, messages
from gateway.store.store import Store

__all__ = ["AccountRecord", "FeedQueries"]

CHUNK = 500
"""Messages a query: some hundred kilobytes, and a few milliseconds on a worker thread."""

# A message's id is made in the same moment as its created_timestamp (ULIDs tell their milliseconds), but the clock may
# be set between the two. The id bounds the scan, by the primary key; the timestamp decides.
_SLACK = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account."""

    account_id: str
    name: str
    created_at: datetime


class FeedQueries(Queries):
    """Reads for feeds; each chunk is a read of its own, so that no long one keeps SQLite's log from shrinking."""

    def __init__(self, store: Store) -> None:
        self.engine = store.engine
        self._cipher = store.cipher

    async def accounts(self) -> list[AccountRecord]:
        """All accounts, oldest first."""
        query = select(accounts).order_by(accounts.c.created_at, accounts.c.account_id)
        async with self._read() as connection:
            return [AccountRecord(**row) for row in (await connection.execute(query)).mappings()]

    async def changed(self, account_id: str) -> dict[date, list[str]]:
        """Days (UTC) whose feeds may lack what came or was redacted anew since, with the ids of these changes."""
        query = (
            select(messages.c.created_timestamp, feed_changes.c.change_id)
            .join(feed_changes, feed_changes.c.message_id == messages.c.message_id)
            .join(calls, calls.c.call_id == messages.c.call_id)
            .where(calls.c.account_id == account_id)
        )
        days: dict[date, list[str]] = defaultdict(list)
        async with self._read() as connection:
            for created, change_id in (await connection.execute(query)).all():
                days[created.astimezone(UTC).date()].append(str(change_id))
        return dict(days)

    async def settle(self, change_ids: Sequence[str]) -> None:
        """Forget changes: days that were read after them are built."""
        async with self._write() as connection:
            for first in range(0, len(change_ids), CHUNK):
                some = change_ids[first : first + CHUNK]
                await connection.execute(delete(feed_changes).where(feed_changes.c.change_id.in_(some)))

    async def spoken(
        self, account_id: str, start: datetime, end: datetime, *, unredacted: bool = False, chunk: int = CHUNK
    ) -> AsyncIterator[list[tuple[CallRecord, MessageRecord]]]:
        """The account's messages created from ``start`` to before ``end``, by their ids, ``chunk`` at a time.

        Each stands with its conversation: the call whose ``call_id`` and ``started_at`` are those of the first session
        of (account, guid), so that a call that outlives a restart keeps one id.

        Args:
            account_id: whose.
            start: aware.
            end: aware.
            unredacted: also decrypt unredacted texts.
            chunk: how many at a time.

        Raises:
            StoreError: the database is away; SealedError: an unredacted text does not open with our key.
        """
        after = first_ulid((start - _SLACK).timestamp())
        while True:
            query = _spoken(account_id, start, end, after, unredacted=unredacted).limit(chunk)
            async with self._read() as connection:
                found = (await connection.execute(query)).mappings().all()
                first = await self._first_sessions(connection, account_id, {row["guid"] for row in found})
            if found:
                yield [
                    (_conversation(row, first), rows.message_of(row, self._cipher, shown_only=True)) for row in found
                ]
            if len(found) < chunk:
                return
            after = found[-1]["message_id"]

    async def _first_sessions(
        self, connection: AsyncConnection, account_id: str, guids: Set[str]
    ) -> dict[str, tuple[datetime, str]]:
        """When each conversation began, and the id of the session that it began with."""
        if not guids:
            return {}
        query = select(calls.c.guid, calls.c.started_at, calls.c.call_id)
        query = query.where(calls.c.account_id == account_id, calls.c.guid.in_(guids))
        first: dict[str, tuple[datetime, str]] = {}
        for guid, started_at, call_id in (await connection.execute(query)).all():
            first[guid] = min(first.get(guid, (started_at, call_id)), (started_at, call_id))
        return first


def _spoken(account_id: str, start: datetime, end: datetime, after: str, *, unredacted: bool) -> Select[Any]:
    sealed = message_secrets.c.ciphertext if unredacted else null()
    query = (
        select(
            messages,
            sealed.label("ciphertext"),
            calls.c.account_id,
            calls.c.guid,
            calls.c.language,
            calls.c.customer_id,
            calls.c.agent_id,
        )
        .join(calls, calls.c.call_id == messages.c.call_id)
        .where(
            # Not by an index: SQLite would read every call that the account ever had, and sort its messages.
            calls.c.account_id.concat("") == account_id,
            messages.c.message_id > after,
            messages.c.message_id < first_ulid((end + _SLACK).timestamp()),
            messages.c.created_timestamp >= start,
            messages.c.created_timestamp < end,
        )
        .order_by(messages.c.message_id)
    )
    if unredacted:
        query = query.outerjoin(message_secrets, message_secrets.c.message_id == messages.c.message_id)
    return query


def _conversation(row: RowMapping, first: Mapping[str, tuple[datetime, str]]) -> CallRecord:
    began_at, conversation_id = first[row["guid"]]
    return CallRecord(
        call_id=conversation_id,
        account_id=row["account_id"],
        guid=row["guid"],
        language=row["language"],
        customer_id=row["customer_id"],
        agent_id=row["agent_id"],
        started_at=began_at,
    )
