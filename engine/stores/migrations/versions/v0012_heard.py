"""Which mails a provider has told of is asked every half minute, and must not read all of them."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index(op.f("outreach_by_channel_state_at"), "outreach", ["channel", "state_at"], unique=False)


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0012: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
