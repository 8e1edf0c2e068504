"""The store's queries: keys, calls, messages, delivery records. Every read goes by the account."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import Select, and_, delete, exists, func, insert, literal, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.ids import new_ulid
from gateway.store import rows
from gateway.store.configuration import ConfigurationQueries
from gateway.store.crypto import TextCipher
from gateway.store.database import BUSY_TIMEOUT_MS, Transactions, create_engine, migrate
from gateway.store.outbox import OutboxQueries
from gateway.store.records import CallRecord, DeliveryRecord, KeyRecord, MessageRecord, NewKey, Principal
from gateway.store.schema import accounts, api_keys, calls, deliveries, message_secrets, messages

__all__ = ["DEFAULT_ACCOUNT", "MESSAGE_LIMIT", "Store"]

logger = logging.getLogger(__name__)

DEFAULT_ACCOUNT = "default"

# How many messages one answer holds (reference: "up to 1,000 messages per conversation").
MESSAGE_LIMIT = 1000

_SECRET_BYTES = 32
_PURGE_CHUNK = 200
# Longer ones are nobody's key; not even hashed.
_MAX_KEY_CHARS = 256


class Store(ConfigurationQueries, OutboxQueries):
    """The database, opened and at the newest schema. Make one with :meth:`open`.

    Every method raises :class:`~gateway.errors.StoreError` when the database refuses or is away.
    """

    def __init__(self, engine: AsyncEngine, transactions: Transactions, cipher: TextCipher) -> None:
        self.engine = engine
        self.transactions = transactions
        self.cipher = cipher

    @classmethod
    async def open(cls, database_url: str, *, key: bytes, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Self:
        """Open the database, made or migrated where needed.

        Args:
            database_url: ``sqlite:///PATH`` or ``postgresql://…``.
            key: 32 bytes that unredacted texts are encrypted under.
            busy_timeout_ms: how long SQLite waits for another writer.

        Raises:
            StoreError: the database is newer than this gateway, unreachable, or not writable.
        """
        cipher = TextCipher(key)
        engine = create_engine(database_url, busy_timeout_ms=busy_timeout_ms)
        try:
            await migrate(database_url)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine, Transactions(engine, busy_timeout_ms), cipher)

    async def close(self) -> None:
        """Close all connections."""
        self.transactions.close()
        await self.engine.dispose()

    async def ping(self) -> None:
        """A query that any working database answers; for ``/readyz``."""
        async with self._read() as connection:
            await connection.execute(text("SELECT 1 FROM alembic_version"))

    async def check_key(self) -> None:
        """Open the text that was encrypted last: whether what is stored can be read.

        Raises:
            SealedError: it does not open with our key.
        """
        query = select(message_secrets).order_by(message_secrets.c.message_id.desc()).limit(1)
        async with self._read() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is not None:
            self.cipher.decrypt(row["message_id"], row["ciphertext"])

    # Keys

    async def create_key(self, name: str, account: str | None = None) -> NewKey:
        """Make a key; its secret is in the answer and nowhere else.

        Args:
            name: what the key is for; need not be unique.
            account: the account's name, made if there is none yet; None is the default account.
        """
        now = datetime.now(UTC)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        api_id = new_ulid()
        async with self._write() as connection:
            account_id = await self._account(connection, account or DEFAULT_ACCOUNT, now)
            values = {"api_id": api_id, "account_id": account_id, "name": name, "created_at": now}
            await connection.execute(insert(api_keys).values(**values, secret_sha256=_digest(secret)))
        return NewKey(api_id=api_id, api_secret=secret, account_id=account_id, name=name)

    async def _account(self, connection: AsyncConnection, name: str, now: datetime) -> str:
        found = await connection.scalar(select(accounts.c.account_id).where(accounts.c.name == name))
        if found is not None:
            return str(found)
        account_id = new_ulid()
        await connection.execute(insert(accounts).values(account_id=account_id, name=name, created_at=now))
        return account_id

    async def list_keys(self) -> list[KeyRecord]:
        """All keys, revoked ones too, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.api_id)
        async with self._read() as connection:
            return [rows.key_of(row) for row in (await connection.execute(query)).mappings()]

    async def account_names(self) -> dict[str, str]:
        """The accounts' names by their ids."""
        async with self._read() as connection:
            found = (await connection.execute(select(accounts.c.account_id, accounts.c.name))).all()
        return {str(account_id): str(name) for account_id, name in found}

    async def revoke_key(self, api_id: str) -> bool:
        """Revoke a key for good; False if there is no such key, or it is revoked already."""
        change = update(api_keys).where(api_keys.c.api_id == api_id, api_keys.c.revoked_at.is_(None))
        async with self._write() as connection:
            result = await connection.execute(change.values(revoked_at=datetime.now(UTC)))
            return result.rowcount > 0

    async def authenticate(self, api_id: str, api_secret: str) -> Principal | None:
        """Who the key belongs to; None for an unknown, revoked or wrong one, in the same time."""
        if len(api_id) > _MAX_KEY_CHARS or len(api_secret) > _MAX_KEY_CHARS:
            return None
        query = select(api_keys).where(api_keys.c.api_id == api_id, api_keys.c.revoked_at.is_(None))
        async with self._read() as connection:
            row = (await connection.execute(query)).mappings().first()
        expected: bytes = bytes(32) if row is None else row["secret_sha256"]
        right = hmac.compare_digest(expected, _digest(api_secret))
        return Principal(account_id=row["account_id"], key_id=row["api_id"]) if row is not None and right else None

    async def key_active(self, key_id: str) -> bool:
        """Whether the key (its API id) exists and is not revoked."""
        query = select(literal(1)).where(api_keys.c.api_id == key_id, api_keys.c.revoked_at.is_(None))
        async with self._read() as connection:
            return (await connection.scalar(query)) is not None

    async def has_keys(self) -> bool:
        """Whether any key was ever made."""
        async with self._read() as connection:
            return (await connection.scalar(select(literal(1)).select_from(api_keys).limit(1))) is not None

    # Calls

    async def open_call(self, call: CallRecord) -> None:
        """Write a call's session; one already there is brought up to date: live again, if it was not."""
        async with self._write() as connection:
            await connection.run_sync(rows.write, [call], self.cipher)

    async def interrupt_live_calls(self, reason: str = "gateway_restart", *, keep_posts: bool = False) -> int:
        """At boot: end every session left live, drop every post left pending; the number of sessions.

        With ``keep_posts`` the posts stay pending, for an outbox to take up.
        """
        now = datetime.now(UTC)
        live = update(calls).where(calls.c.completed_at.is_(None))
        pending = update(deliveries).where(deliveries.c.outcome == "pending")
        dropped = 0
        async with self._write() as connection:
            ended = await connection.execute(live.values(completed_at=now, completed_reason=reason))
            if not keep_posts:
                left = await connection.execute(pending.values(outcome="dropped", reason=reason, at=now))
                dropped = left.rowcount
        if ended.rowcount or dropped:
            logger.warning("left live: %d calls completed, %d pending posts dropped", ended.rowcount, dropped)
        return ended.rowcount

    async def calls(self, account_id: str, limit: int = 100) -> list[CallRecord]:
        """The account's calls, each as :meth:`call` shows it; the one with the newest session first."""
        query = _conversations().where(calls.c.account_id == account_id).limit(limit)
        async with self._read() as connection:
            return [rows.call_of(row) for row in (await connection.execute(query)).mappings()]

    async def call(self, account_id: str, guid: str) -> CallRecord | None:
        """The account's call; None if there is no such call.

        Of several sessions the newest, with the first one's ``call_id`` and ``started_at``: these are the
        conversation's, here as in the feeds.
        """
        query = _conversations().where(calls.c.account_id == account_id, calls.c.guid == guid).limit(1)
        async with self._read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else rows.call_of(row)

    # Messages

    async def messages(self, account_id: str, guid: str, limit: int = MESSAGE_LIMIT) -> list[MessageRecord] | None:
        """The call's first ``limit`` messages, by start and sequence (sessions one after the other).

        Unredacted texts are filled in only where they are shown. Returns None if the account has no such call.

        Raises:
            SealedError: an unredacted text does not open with our key.
        """
        ours = (calls.c.account_id == account_id, calls.c.guid == guid)
        query = (
            select(messages, message_secrets.c.ciphertext)
            .join(calls, calls.c.call_id == messages.c.call_id)
            .outerjoin(message_secrets, message_secrets.c.message_id == messages.c.message_id)
            .where(*ours)
            .order_by(calls.c.started_at, calls.c.call_id, messages.c.start_ms, messages.c.sequence)
            .limit(limit)
        )
        async with self._read() as connection:
            if not await connection.scalar(select(exists().where(*ours))):
                return None
            found = (await connection.execute(query)).mappings().all()
        return [rows.message_of(row, self.cipher, shown_only=True) for row in found]

    # Deliveries

    async def delivery_failures(
        self, account_id: str, guid: str | None = None, limit: int = 100
    ) -> list[DeliveryRecord]:
        """Posts that failed or were dropped, newest first; of one call, or of all the account's."""
        query = (
            select(deliveries)
            .join(calls, calls.c.call_id == deliveries.c.call_id)
            .where(calls.c.account_id == account_id, deliveries.c.outcome.in_(("failed", "dropped")))
            .order_by(deliveries.c.at.desc(), deliveries.c.sequence.desc())
            .limit(limit)
        )
        if guid is not None:
            query = query.where(calls.c.guid == guid)
        async with self._read() as connection:
            return [rows.delivery_of(row) for row in (await connection.execute(query)).mappings()]

    # Retention

    async def purge(self, before: datetime) -> int:
        """Remove conversations that were completed before a time, with all that belongs to them.

        A conversation with a session that is live, or was completed later, stays whole. Works in small
        transactions, so that the writer gets its turn. Returns the sessions removed.
        """
        removed = 0
        while True:
            async with self._write() as connection:
                old = await self._expired(connection, before)
                if not old:
                    return removed
                for account_id, guid in old:
                    gone = delete(calls).where(calls.c.account_id == account_id, calls.c.guid == guid)
                    removed += (await connection.execute(gone)).rowcount

    async def _expired(self, connection: AsyncConnection, before: datetime) -> list[tuple[str, str]]:
        """Some conversations (account, guid) of which every session was completed before a time."""
        candidates = select(calls.c.account_id, calls.c.guid).where(calls.c.completed_at < before).distinct().subquery()
        query = (
            select(calls.c.account_id, calls.c.guid)
            .join(
                candidates,
                (candidates.c.account_id == calls.c.account_id) & (candidates.c.guid == calls.c.guid),
            )
            .group_by(calls.c.account_id, calls.c.guid)
            # count(column) leaves out NULLs: a live session makes the counts differ.
            .having(func.count() == func.count(calls.c.completed_at), func.max(calls.c.completed_at) < before)
            .limit(_PURGE_CHUNK)
        )
        return [(account_id, guid) for account_id, guid in (await connection.execute(query)).all()]


def _conversations() -> Select[Any]:
    """The newest session of each conversation, with ``first_call_id`` and ``first_started_at``; newest first."""
    other = calls.alias()
    same = (other.c.account_id == calls.c.account_id, other.c.guid == calls.c.guid)
    newer = or_(
        other.c.started_at > calls.c.started_at,
        and_(other.c.started_at == calls.c.started_at, other.c.call_id > calls.c.call_id),
    )
    first = select(other.c.call_id).where(*same).order_by(other.c.started_at, other.c.call_id).limit(1)
    began = select(func.min(other.c.started_at)).where(*same)
    return (
        select(
            calls,
            first.scalar_subquery().label("first_call_id"),
            began.scalar_subquery().label("first_started_at"),
        )
        .where(~exists().where(*same, newer))
        .order_by(calls.c.started_at.desc(), calls.c.call_id.desc())
    )


def _digest(secret: str) -> bytes:
    """SHA-256; enough for 256 random bits, which no dictionary holds."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
