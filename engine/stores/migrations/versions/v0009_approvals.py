"""What people let leave, word for word.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table; nothing is approved."""
    op.create_table(
        "approvals",
        sa.Column("mail_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mail_id", name=op.f("approvals_pkey")),
    )
    op.create_index(op.f("approvals_by_account_id"), "approvals", ["account_id"], unique=False)


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0009: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
