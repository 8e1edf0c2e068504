"""Records to rows and back: the statements that write each kind of record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, RowMapping, Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.ids import new_ulid
from gateway.store.crypto import TextCipher
from gateway.store.records import CallRecord, DeliveryRecord, KeyRecord, MessageRecord, RevisionRecord
from gateway.store.schema import calls, deliveries, feed_changes, message_secrets, message_tokens, messages

__all__ = ["Record", "call_of", "delivery_of", "key_of", "message_of", "size_of", "tokens_id", "write"]

Record = CallRecord | MessageRecord | DeliveryRecord | RevisionRecord

# How long before a day's end its messages are taken for late already: a commit may take a while.
_FEED_MARGIN = timedelta(minutes=10)


def size_of(record: Record) -> int:
    """About how many bytes a waiting record holds; for bounding queues."""
    if isinstance(record, MessageRecord):
        return 512 + 4 * (len(record.text) + len(record.unredacted or "") + len(record.tokens or ""))
    if isinstance(record, RevisionRecord):
        return 256 + 4 * len(record.text)
    return 512


def write(connection: Connection, records: Sequence[Record], cipher: TextCipher) -> None:
    """Write the records within the connection's transaction.

    Grouped by kind in the order of their foreign keys; records of one kind keep their order, so the last one
    of the same id wins; revisions come last, after the messages that they change. Writing a record twice changes
    nothing. Messages that come or change when the feeds of their day may have been built are noted for these.
    """
    groups: dict[Table, list[dict[str, Any]]] = {
        calls: [],
        messages: [],
        message_secrets: [],
        message_tokens: [],
        feed_changes: [],
        deliveries: [],
    }
    revisions: list[dict[str, Any]] = []
    today = (datetime.now(UTC) + _FEED_MARGIN).date()
    for record in records:
        if isinstance(record, RevisionRecord):
            revision = {"revised_id": record.message_id, "revised_text": record.text, "change_id": new_ulid()}
            revisions.append(revision)
            continue
        if isinstance(record, MessageRecord) and record.created_timestamp.astimezone(UTC).date() < today:
            groups[feed_changes].append({"message_id": record.message_id, "change_id": new_ulid()})
        for table, values in _rows(record, cipher):
            groups[table].append(values)
    for table, rows in groups.items():
        if rows:
            connection.execute(_statement(table, connection.dialect.name), rows)
    if revisions:
        connection.execute(_REVISE, revisions)
        connection.execute(_note_change(connection.dialect.name), revisions)


_REVISE = (
    update(messages).where(messages.c.message_id == bindparam("revised_id")).values(text=bindparam("revised_text"))
)


@cache
def _note_change(dialect: str) -> Insert:
    """Notes a revision for the feeds, if its message is there."""
    insert = postgresql.insert(feed_changes) if dialect == "postgresql" else sqlite.insert(feed_changes)
    there = select(messages.c.message_id, bindparam("change_id", type_=feed_changes.c.change_id.type)).where(
        messages.c.message_id == bindparam("revised_id")
    )
    noted = insert.from_select(["message_id", "change_id"], there)
    return noted.on_conflict_do_update(index_elements=["message_id"], set_={"change_id": noted.excluded.change_id})


@cache
def _statement(table: Table, dialect: str) -> Insert:
    """An insert that updates a call or a delivery already there, and leaves a message already there alone."""
    key = [column.name for column in table.primary_key]
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    if table in (messages, message_secrets, message_tokens, feed_changes):
        return insert.on_conflict_do_nothing(index_elements=key)
    fixed = {*key, "account_id", "guid", "started_at"}
    changes = {column.name: insert.excluded[column.name] for column in table.columns if column.name not in fixed}
    return insert.on_conflict_do_update(index_elements=key, set_=changes)


def _rows(
    record: CallRecord | MessageRecord | DeliveryRecord, cipher: TextCipher
) -> list[tuple[Table, dict[str, Any]]]:
    if isinstance(record, CallRecord):
        return [(calls, _columns(calls, record))]
    if isinstance(record, DeliveryRecord):
        return [(deliveries, _columns(deliveries, record))]
    rows = [(messages, _columns(messages, record))]
    if record.unredacted is not None:
        sealed = cipher.encrypt(record.message_id, record.unredacted)
        rows.append((message_secrets, {"message_id": record.message_id, "ciphertext": sealed}))
    if record.tokens is not None:
        sealed = cipher.encrypt(tokens_id(record.message_id), record.tokens)
        rows.append((message_tokens, {"message_id": record.message_id, "ciphertext": sealed}))
    return rows


def tokens_id(message_id: str) -> str:
    """What the cipher binds a message's words to, so that they are not taken for its text."""
    return f"{message_id} tokens"


def _columns(table: Table, record: Record) -> dict[str, Any]:
    return {column.name: getattr(record, column.name) for column in table.columns}


def call_of(row: RowMapping) -> CallRecord:
    """A row of ``calls`` with ``first_call_id`` and ``first_started_at``, those of the conversation."""
    conversation = {"call_id": row["first_call_id"], "started_at": row["first_started_at"]}
    return CallRecord(**_named(calls, row) | conversation)


def delivery_of(row: RowMapping) -> DeliveryRecord:
    """A row of ``deliveries``."""
    return DeliveryRecord(**_named(deliveries, row))


def message_of(row: RowMapping, cipher: TextCipher, *, shown_only: bool = False) -> MessageRecord:
    """A row of ``messages`` joined with its ``ciphertext``; with ``shown_only`` opened only where it is shown.

    Raises:
        SealedError: the unredacted text does not open with our key.
    """
    sealed: bytes | None = row["ciphertext"]
    if shown_only and not row["show_unredacted"]:
        sealed = None
    unredacted = None if sealed is None else cipher.decrypt(row["message_id"], sealed)
    return MessageRecord(**_named(messages, row), unredacted=unredacted)


def key_of(row: RowMapping) -> KeyRecord:
    """A row of ``api_keys``, without what could tell the secret."""
    return KeyRecord(
        api_id=row["api_id"],
        account_id=row["account_id"],
        name=row["name"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


def _named(table: Table, row: RowMapping) -> dict[str, Any]:
    return {column.name: row[column.name] for column in table.columns}
