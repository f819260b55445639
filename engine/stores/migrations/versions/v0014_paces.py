"""How many mails left in the spans that limits speak of.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table; a limit counts from when it was set."""
    op.create_table(
        "paces",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mails", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", "at", name=op.f("paces_pkey")),
    )


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0014: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
