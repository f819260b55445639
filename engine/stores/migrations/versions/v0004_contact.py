"""Which mail a decision went out in, and to whom, so that the contact policy can count."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns; what left before has neither, and is counted for its account alone."""
    with op.batch_alter_table("outreach") as table:
        table.add_column(sa.Column("mail_id", TEXT, nullable=True))
        table.add_column(sa.Column("person", TEXT, nullable=True))
    op.create_index(op.f("outreach_by_person"), "outreach", ["person"], unique=False)


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0004: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
