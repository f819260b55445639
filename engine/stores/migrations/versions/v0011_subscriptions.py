"""Who has cancelled: what earlier events said of subscriptions stands beside what later ones say.

Never edited: a later version adds a file of its own.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take it from the events; of meetings only those count that are told of from now on."""
    op.execute(
        "INSERT INTO touches (account_id, user_id, at, channel, kind) "
        "SELECT account_id, NULL, time, 'subscription', type FROM events "
        "WHERE type IN ('subscription.created', 'subscription.renewed', 'subscription.cancelled') "
        "ORDER BY lane, position"
    )


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0011: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
