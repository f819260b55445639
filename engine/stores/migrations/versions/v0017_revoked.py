"""Links to reports can be taken back.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "revoked",
        sa.Column("account_id", TEXT, primary_key=True),
        sa.Column("report", TEXT, primary_key=True),
        sa.Column("period", TEXT, primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0017: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
