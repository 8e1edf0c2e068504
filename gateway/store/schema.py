"""Tables of the store. SQLite and PostgreSQL take them alike; Alembic builds them (``migrations/versions``).

Accounts own calls, and every query goes through the account. A row of ``calls`` is one *session* of a
conversation: what one process saw of one account's call of one guid. The conversation is all sessions of
(account, guid): a restart begins a new session, with a clock and sequence numbers of its own, so nothing
has to be read before the first row is written.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

__all__ = [
    "UtcDateTime",
    "accounts",
    "api_keys",
    "calls",
    "configurations",
    "custom_vocabularies",
    "deliveries",
    "feed_changes",
    "message_secrets",
    "message_tokens",
    "messages",
    "metadata",
    "redaction_policies",
]


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime. SQLite has no zones: there it stands as naive UTC, which sorts as text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Into the database; a naive datetime is our bug, since nobody could say which zone it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a naive datetime cannot be stored; pass an aware one"
            raise ValueError(msg)
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Out of the database."""
        if value is None:
            return None
        stored: datetime = value
        return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)


# Names of constraints are fixed, so that later migrations can find them on every database.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

accounts = Table(
    "accounts",
    metadata,
    Column("account_id", String(26), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("name"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("api_id", String(26), primary_key=True),
    Column("account_id", String(26), ForeignKey("accounts.account_id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Index(None, "account_id"),
)

calls = Table(
    "calls",
    metadata,
    Column("call_id", String(64), primary_key=True),
    Column("account_id", String(26), ForeignKey("accounts.account_id"), nullable=False),
    Column("guid", Text, nullable=False),
    Column("language", String(35), nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),
    Column("completed_reason", String(64)),
    Index(None, "account_id", "guid"),
    Index(None, "account_id", "started_at"),
    Index(None, "completed_at"),
)

messages = Table(
    "messages",
    metadata,
    Column("message_id", String(26), primary_key=True),
    Column("call_id", String(64), ForeignKey("calls.call_id", ondelete="CASCADE"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("stream_id", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("external_id", Text, nullable=False),
    Column("start_ms", Integer, nullable=False),
    Column("end_ms", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("show_unredacted", Boolean, nullable=False),
    Column("client_timestamp", UtcDateTime, nullable=False),
    Column("created_timestamp", UtcDateTime, nullable=False),
    UniqueConstraint("call_id", "sequence"),
    Index(None, "call_id", "start_ms", "sequence"),
)

# The unredacted text, where a start asked for it: AES-GCM under GATEWAY_STORE_KEY, bound to its message.
message_secrets = Table(
    "message_secrets",
    metadata,
    Column("message_id", String(26), ForeignKey("messages.message_id", ondelete="CASCADE"), primary_key=True),
    Column("ciphertext", LargeBinary, nullable=False),
)

# The words with their times that were posted with the unredacted text, as JSON; encrypted in the same way.
message_tokens = Table(
    "message_tokens",
    metadata,
    Column("message_id", String(26), ForeignKey("messages.message_id", ondelete="CASCADE"), primary_key=True),
    Column("ciphertext", LargeBinary, nullable=False),
)

# Messages that came, or were redacted anew, when the feeds of their day may have been built already: it is built again.
feed_changes = Table(
    "feed_changes",
    metadata,
    Column("message_id", String(26), ForeignKey("messages.message_id", ondelete="CASCADE"), primary_key=True),
    # A ULID, another one for each change: who has built the day knows by it which changes are in.
    Column("change_id", String(26), nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", String(26), primary_key=True),
    Column("call_id", String(64), ForeignKey("calls.call_id", ondelete="CASCADE"), nullable=False),
    # No foreign key: a post whose message was lost to a full queue still has its record.
    Column("message_id", String(26), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    CheckConstraint("outcome IN ('pending', 'delivered', 'failed', 'dropped')", name="outcome"),
    Index(None, "call_id", "at"),
    Index(None, "outcome", "at"),
)

# A row an account that ever configured anything. Each change counts its revision up in the same transaction: that tells
# other processes that there is something to read, and makes the changes of one account wait for each other.
configurations = Table(
    "configurations",
    metadata,
    Column("account_id", String(26), ForeignKey("accounts.account_id"), primary_key=True),
    Column("revision", Integer, nullable=False),
)

# What an account set; an entity without a row has its default.
redaction_policies = Table(
    "redaction_policies",
    metadata,
    Column("account_id", String(26), ForeignKey("accounts.account_id"), primary_key=True),
    Column("entity", String(64), primary_key=True),
    Column("active", Boolean, nullable=False),
)

custom_vocabularies = Table(
    "custom_vocabularies",
    metadata,
    Column("phrase_id", String(26), primary_key=True),
    Column("account_id", String(26), ForeignKey("accounts.account_id"), nullable=False),
    Column("phrase", Text, nullable=False),
    # The phrase without case, by which an account has it once.
    Column("folded", Text, nullable=False),
    Column("sounds_like", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("account_id", "folded"),
)
