"""Which topic an offset counts in: one that was deleted and made anew has another id."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the column; an offset learns its topic when it moves next."""
    op.add_column("offsets", sa.Column("log", TEXT, nullable=True))


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0005: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
