"""The store's queries for posts that are still to be made, or to be made again; over all accounts."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, exists, func, literal, select, tuple_

from gateway.errors import StoreError
from gateway.store import rows
from gateway.store.crypto import TextCipher
from gateway.store.database import Queries
from gateway.store.records import DeliveryRecord, MessageRecord
from gateway.store.schema import calls, deliveries, message_secrets, message_tokens, messages

__all__ = ["OutboxQueries", "StoredPost", "Undelivered"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredPost:
    """A post as the database has it: its record, the guid of its call, and the message to make its body from.

    ``message`` is None where there is none; ``lost`` then says why: ``message_lost`` (it was never committed) or
    ``unreadable`` (its unredacted text does not open with our key).
    """

    delivery: DeliveryRecord
    guid: str
    message: MessageRecord | None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Which failed and dropped posts are meant: of one call (its guid), or newer than a time, or all."""

    guid: str | None = None
    since: datetime | None = None


class OutboxQueries(Queries):
    """Pending posts, and those that failed or were dropped."""

    cipher: TextCipher

    async def pending_calls(self, limit: int) -> list[str]:
        """Sessions (their ``call_id``) with posts pending, the longest waiting first."""
        query = (
            select(deliveries.c.call_id)
            .where(deliveries.c.outcome == "pending")
            .group_by(deliveries.c.call_id)
            .order_by(func.min(deliveries.c.at))
            .limit(limit)
        )
        async with self._read() as connection:
            return [str(call_id) for call_id in await connection.scalars(query)]

    async def pending_posts(self, call_id: str, limit: int) -> list[StoredPost]:
        """The first pending posts of a session, in their order."""
        # An expression, which no index is over: SQLite would go through all that is pending, not through the call.
        pending = func.coalesce(deliveries.c.outcome, "") == "pending"
        query = _posts().where(deliveries.c.call_id == call_id, pending).limit(limit)
        return await self._stored(query)

    async def pending_size(self) -> tuple[int, datetime | None]:
        """How many posts are pending, and since when the oldest is."""
        query = select(func.count(), func.min(deliveries.c.at)).where(deliveries.c.outcome == "pending")
        async with self._read() as connection:
            count, oldest = (await connection.execute(query)).one()
        return int(count), oldest

    async def count_undelivered(self, which: Undelivered) -> int:
        """How many posts :meth:`undelivered_page` goes through."""
        query = select(func.count()).select_from(deliveries.join(calls)).where(*_undelivered(which))
        async with self._read() as connection:
            return int(await connection.scalar(query) or 0)

    async def count_pending(self, which: Undelivered) -> int:
        """How many posts wait to be made; of one call, or since a time, where that is meant."""
        query = select(func.count()).select_from(deliveries.join(calls)).where(*_having(which, "pending"))
        async with self._read() as connection:
            return int(await connection.scalar(query) or 0)

    async def has_call(self, guid: str) -> bool:
        """Whether any account has a call of this guid."""
        async with self._read() as connection:
            return bool(await connection.scalar(select(exists().where(calls.c.guid == guid))))

    async def undelivered_page(
        self, which: Undelivered, limit: int, after: DeliveryRecord | None = None
    ) -> list[DeliveryRecord]:
        """A page of failed and dropped posts, by session and order in it; behind ``after``, the last one before."""
        key = (deliveries.c.call_id, deliveries.c.sequence, deliveries.c.delivery_id)
        query = select(deliveries).select_from(deliveries.join(calls)).where(*_undelivered(which))
        if after is not None:
            last = map(literal, (after.call_id, after.sequence, after.delivery_id))
            query = query.where(tuple_(*key) > tuple_(*last))
        async with self._read() as connection:
            found = (await connection.execute(query.order_by(*key).limit(limit))).mappings().all()
        return [rows.delivery_of(row) for row in found]

    async def undelivered_post(self, delivery_id: str) -> StoredPost | None:
        """A failed or dropped post with its message as it is now; None if it is gone, or was delivered."""
        query = _posts().where(deliveries.c.delivery_id == delivery_id, *_undelivered(Undelivered()))
        return next(iter(await self._stored(query)), None)

    async def undelivered(self, which: Undelivered, limit: int) -> list[tuple[str, DeliveryRecord]]:
        """Failed and dropped posts with the guid of their call, newest first."""
        query = (
            select(deliveries, calls.c.guid)
            .select_from(deliveries.join(calls))
            .where(*_undelivered(which))
            .order_by(deliveries.c.at.desc(), deliveries.c.sequence.desc())
            .limit(limit)
        )
        async with self._read() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [(str(row["guid"]), rows.delivery_of(row)) for row in found]

    async def record_delivery(self, delivery: DeliveryRecord) -> None:
        """Write down how a post ended; for commands, beside a gateway that runs."""
        async with self._write() as connection:
            await connection.run_sync(rows.write, [delivery], self.cipher)

    async def _stored(self, query: Select[Any]) -> list[StoredPost]:
        async with self._read() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [self._post_of(row) for row in found]

    def _post_of(self, row: RowMapping) -> StoredPost:
        delivery, guid = rows.delivery_of(row), str(row["guid"])
        if row["text"] is None:
            return StoredPost(delivery, guid, None, "message_lost")
        try:
            message = rows.message_of(row, self.cipher)
            sealed: bytes | None = row["tokens"]
            if sealed is not None:
                message = replace(message, tokens=self.cipher.decrypt(rows.tokens_id(message.message_id), sealed))
        except StoreError as error:
            logger.error("a post cannot be made: %s", error)
            return StoredPost(delivery, guid, None, "unreadable")
        return StoredPost(delivery, guid, message)


def _posts() -> Select[Any]:
    """Deliveries with what their bodies are made from; ordered by session and sequence."""
    # Both tables have these; a delivery's are there without its message, too.
    shared = {"call_id", "message_id", "sequence"}
    parts = [column for column in messages.columns if column.name not in shared]
    joined = (
        deliveries.join(calls)
        .outerjoin(messages, messages.c.message_id == deliveries.c.message_id)
        .outerjoin(message_secrets, message_secrets.c.message_id == deliveries.c.message_id)
        .outerjoin(message_tokens, message_tokens.c.message_id == deliveries.c.message_id)
    )
    return (
        select(
            deliveries, calls.c.guid, *parts, message_secrets.c.ciphertext, message_tokens.c.ciphertext.label("tokens")
        )
        .select_from(joined)
        .order_by(deliveries.c.call_id, deliveries.c.sequence, deliveries.c.delivery_id)
    )


def _undelivered(which: Undelivered) -> list[ColumnElement[bool]]:
    return _having(which, "failed", "dropped")


def _having(which: Undelivered, *outcomes: str) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [deliveries.c.outcome.in_(outcomes)]
    if which.guid is not None:
        conditions.append(calls.c.guid == which.guid)
    if which.since is not None:
        conditions.append(deliveries.c.at >= which.since)
    return conditions
