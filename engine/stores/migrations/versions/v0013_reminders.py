"""What our own people are to be reminded of, each once.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table; nobody is reminded of what was before."""
    op.create_table(
        "reminders",
        sa.Column("reminder_id", TEXT, nullable=False),
        sa.Column("to", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("reminder_id", name=op.f("reminders_pkey")),
    )


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0013: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
