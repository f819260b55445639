"""What was stopped by hand, and what goes on slowly after that; and mails by their rule, so that both can count.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BIG = sa.BigInteger()


def upgrade() -> None:
    """Make the table; nothing is stopped."""
    op.create_table(
        "stops",
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=True),
        sa.Column("at", BIG, nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("why", TEXT, nullable=False),
        sa.Column("per_hour", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("scope", "name", name=op.f("stops_pkey")),
    )
    op.create_index(op.f("outreach_by_rule_state_at"), "outreach", ["rule", "state_at"], unique=False)


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0006: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
