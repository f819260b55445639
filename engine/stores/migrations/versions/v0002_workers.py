"""What each worker says of itself, for whoever looks after them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "workers",
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("workers_pkey")),
    )


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0002: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
