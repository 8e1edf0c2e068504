"""Messages that came or were changed too late for the feeds of their day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_changes",
        sa.Column("message_id", sa.String(26), nullable=False),
        sa.Column("change_id", sa.String(26), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_feed_changes"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.message_id"], name="fk_feed_changes_message_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("feed_changes")
