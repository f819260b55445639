"""What readers chose to get and not to get, by topic."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table; nobody has chosen anything yet."""
    op.create_table(
        "choices",
        sa.Column("address_key", TEXT, nullable=False),
        sa.Column("topic", TEXT, nullable=False),
        sa.Column("choice", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("address_key", "topic", name=op.f("choices_pkey")),
    )


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0008: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
