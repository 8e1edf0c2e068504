"""First tables: accounts, keys, calls, messages, unredacted texts, deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _accounts()
    _calls()
    _messages()
    _deliveries()


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.String(26), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_accounts"),
        sa.UniqueConstraint("name", name="uq_accounts_name"),
    )
    op.create_table(
        "api_keys",
        sa.Column("api_id", sa.String(26), nullable=False),
        sa.Column("account_id", sa.String(26), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
        sa.PrimaryKeyConstraint("api_id", name="pk_api_keys"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_api_keys_account_id"),
    )
    op.create_index("ix_api_keys_account_id", "api_keys", ["account_id"])


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(26), nullable=False),
        sa.Column("guid", sa.Text, nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("completed_at", _TIME),
        sa.Column("completed_reason", sa.String(64)),
        sa.PrimaryKeyConstraint("call_id", name="pk_calls"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_calls_account_id"),
    )
    op.create_index("ix_calls_account_id_guid", "calls", ["account_id", "guid"])
    op.create_index("ix_calls_account_id_started_at", "calls", ["account_id", "started_at"])
    op.create_index("ix_calls_completed_at", "calls", ["completed_at"])


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("message_id", sa.String(26), nullable=False),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("stream_id", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("start_ms", sa.Integer, nullable=False),
        sa.Column("end_ms", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("show_unredacted", sa.Boolean, nullable=False),
        sa.Column("client_timestamp", _TIME, nullable=False),
        sa.Column("created_timestamp", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_messages"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.call_id"], name="fk_messages_call_id", ondelete="CASCADE"),
        sa.UniqueConstraint("call_id", "sequence", name="uq_messages_call_id_sequence"),
    )
    op.create_index("ix_messages_call_id_start_ms_sequence", "messages", ["call_id", "start_ms", "sequence"])
    op.create_table(
        "message_secrets",
        sa.Column("message_id", sa.String(26), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_message_secrets"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.message_id"], name="fk_message_secrets_message_id", ondelete="CASCADE"
        ),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.String(26), nullable=False),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("message_id", sa.String(26), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.call_id"], name="fk_deliveries_call_id", ondelete="CASCADE"),
        sa.CheckConstraint(
            "outcome IN ('pending', 'delivered', 'failed', 'dropped')", name=op.f("ck_deliveries_outcome")
        ),
    )
    op.create_index("ix_deliveries_call_id_at", "deliveries", ["call_id", "at"])
    op.create_index("ix_deliveries_outcome_at", "deliveries", ["outcome", "at"])


def downgrade() -> None:
    for table in ("deliveries", "message_secrets", "messages", "calls", "api_keys", "accounts"):
        op.drop_table(table)
