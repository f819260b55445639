"""What was sent, to the byte.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BIG = sa.BigInteger()


def upgrade() -> None:
    """Make the table; of what left before nothing is kept."""
    op.create_table(
        "sent",
        sa.Column("mail_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("at", BIG, nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mail_id", name=op.f("sent_pkey")),
    )
    op.create_index(op.f("sent_by_account_id"), "sent", ["account_id"], unique=False)
    op.create_index(op.f("sent_by_at"), "sent", ["at"], unique=False)


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0010: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
