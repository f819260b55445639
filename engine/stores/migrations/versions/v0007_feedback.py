"""What providers tell of mails that are out, and by which ids they tell it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BIG = sa.BigInteger()
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns and tables; of what left before nobody will tell."""
    with op.batch_alter_table("outreach") as table:
        for name in ("channel", "message_id", "provider_id"):
            table.add_column(sa.Column(name, TEXT, nullable=True))
    for name in ("mail_id", "message_id", "provider_id"):
        op.create_index(op.f(f"outreach_by_{name}"), "outreach", [name], unique=False)
    op.create_table(
        "outreach_facts",
        sa.Column(
            "outreach_id",
            TEXT,
            sa.ForeignKey("outreach.outreach_id", name=op.f("outreach_facts_outreach_id_fkey"), ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("outreach_id", "kind", name=op.f("outreach_facts_pkey")),
    )
    op.create_table(
        "feedback",
        sa.Column("seq", SERIAL, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("provider", "event_id", "kind")),
        *(sa.Column(name, BIG, nullable=False) for name in ("at", "heard_at")),
        *(sa.Column(name, TEXT, nullable=True) for name in ("mail_id", "provider_id", "message_id", "person")),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("settled_at", BIG, nullable=True),
        sa.Column("account_id", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("feedback_pkey")),
        sa.UniqueConstraint("provider", "event_id", name=op.f("feedback_provider_event_id_key")),
    )
    op.create_index(op.f("feedback_by_settled_at_seq"), "feedback", ["settled_at", "seq"], unique=False)
    op.create_index(op.f("feedback_by_account_id"), "feedback", ["account_id"], unique=False)


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0007: a store cannot go back to an older version; restore a backup instead"
    raise NotImplementedError(msg)
