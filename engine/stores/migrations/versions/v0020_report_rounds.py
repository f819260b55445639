"""How far whoever issues reports has come, so that a report which nobody issues is told.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table; who issues reports fills it with the next round."""
    op.create_table(
        "report_rounds",
        sa.Column("report", TEXT, nullable=False),
        sa.Column("period", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("report", "period", name=op.f("report_rounds_pkey")),
    )


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0020: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
