"""How often in a row a mail was not taken for now: each time it waits for longer.

Never edited: a later version adds a file of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what was tried before begins anew."""
    op.add_column("outreach", sa.Column("tries", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0018: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
