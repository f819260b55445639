"""What is to be published outside: the outbox, the revision of a decision, and the headers of a dead letter's record.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BIG = sa.BigInteger()
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BODY = sa.LargeBinary()


def upgrade() -> None:
    """Make the table; what was decided before is in its first revision."""
    op.create_table(
        "outbox",
        sa.Column("seq", SERIAL, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("item", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=True),
        sa.Column("body", BODY, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("outbox_pkey")),
    )
    op.create_index(op.f("outbox_by_lane_kind_seq"), "outbox", ["lane", "kind", "seq"], unique=False)
    op.create_index(op.f("outbox_by_account_id"), "outbox", ["account_id"], unique=False)
    op.add_column("decisions", sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("dead_letters", sa.Column("headers", BODY, nullable=True))


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0003: a store cannot go back behind its version; restore a backup instead"
    raise NotImplementedError(msg)
