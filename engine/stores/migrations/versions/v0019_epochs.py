"""Under which owner of its lane a mail was decided: history lets pass only what history decided.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; mails of before count as decided live, so that none that waits for a person is lost."""
    op.add_column("lanes", sa.Column("live_epoch", sa.BigInteger(), nullable=True))
    op.add_column("outreach", sa.Column("epoch", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0019: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
