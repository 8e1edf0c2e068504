"""The words of messages with their times, so that a post can be made again as it was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "message_tokens",
        sa.Column("message_id", sa.String(26), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_message_tokens"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.message_id"], name="fk_message_tokens_message_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("message_tokens")
