"""What accounts configure: redaction by entity, custom vocabularies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "configurations",
        sa.Column("account_id", sa.String(26), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_configurations"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_configurations_account_id"),
    )
    op.create_table(
        "redaction_policies",
        sa.Column("account_id", sa.String(26), nullable=False),
        sa.Column("entity", sa.String(64), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "entity", name="pk_redaction_policies"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_redaction_policies_account_id"),
    )
    op.create_table(
        "custom_vocabularies",
        sa.Column("phrase_id", sa.String(26), nullable=False),
        sa.Column("account_id", sa.String(26), nullable=False),
        sa.Column("phrase", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("sounds_like", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("phrase_id", name="pk_custom_vocabularies"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_custom_vocabularies_account_id"),
        sa.UniqueConstraint("account_id", "folded", name="uq_custom_vocabularies_account_id_folded"),
    )


def downgrade() -> None:
    for table in ("custom_vocabularies", "redaction_policies", "configurations"):
        op.drop_table(table)
