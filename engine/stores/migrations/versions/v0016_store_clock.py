"""When a mail came to where it stands, by the store's own clock.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what was before is as old as its sender said."""
    op.add_column("outreach", sa.Column("stored_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE outreach SET stored_at = state_at WHERE channel IS NOT NULL OR state IN ('claimed', 'posting')")
    op.drop_index("outreach_by_channel_state_at", table_name="outreach")
    op.create_index("outreach_by_channel_stored_at", "outreach", ["channel", "stored_at"])


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0016: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
