"""Readers choose how often they get a report.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "rhythms",
        sa.Column("address_key", TEXT, nullable=False),
        sa.Column("report", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("every", TEXT, nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("address_key", "report", "at", name=op.f("rhythms_pkey")),
    )


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0021: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
