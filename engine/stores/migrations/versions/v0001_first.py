"""All tables of DESIGN 7, as the first version made them. Never edited: a later version adds a file of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BIG = sa.BigInteger()
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BODY = sa.LargeBinary()


def upgrade() -> None:
    """Make every table and index."""
    op.create_table(
        "audit",
        sa.Column("seq", SERIAL, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("what", TEXT, nullable=False),
        sa.Column("detail", BODY, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("audit_pkey")),
    )
    op.create_table(
        "dead_letters",
        sa.Column("seq", SERIAL, nullable=False),
        sa.Column("dead_letter_id", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("place", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("raw", BODY, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("account_id", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("dead_letters_pkey")),
        sa.UniqueConstraint("dead_letter_id", name=op.f("dead_letters_dead_letter_id_key")),
    )
    op.create_index(op.f("dead_letters_by_account_id"), "dead_letters", ["account_id"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("decision_id", TEXT, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("subject_kind", TEXT, nullable=True),
        sa.Column("subject_id", TEXT, nullable=True),
        sa.Column("occasion", TEXT, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("values", BODY, nullable=False),
        sa.Column("frozen", BODY, nullable=False),
        sa.Column("mails", BODY, nullable=False),
        sa.Column("withdrawn_at", BIG, nullable=True),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("decisions_pkey")),
    )
    op.create_index(op.f("decisions_by_account_id"), "decisions", ["account_id"], unique=False)
    op.create_index(op.f("decisions_by_at_decision_id"), "decisions", ["at", "decision_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", BIG, autoincrement=False, nullable=False),
        sa.Column("recorded_at", BIG, nullable=False),
        sa.Column("time", BIG, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("digest", BODY, nullable=False),
        sa.Column("body", BODY, nullable=False),
        sa.PrimaryKeyConstraint("lane", "position", name=op.f("events_pkey")),
        sa.UniqueConstraint("account_id", "id", name=op.f("events_account_id_id_key")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "inbox",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", BIG, autoincrement=False, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("body", BODY, nullable=False),
        sa.PrimaryKeyConstraint("lane", "seq", name=op.f("inbox_pkey")),
    )
    op.create_table(
        "inbox_heads",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_seq", BIG, nullable=False),
        sa.PrimaryKeyConstraint("lane", name=op.f("inbox_heads_pkey")),
    )
    op.create_table(
        "lanes",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", BIG, nullable=False),
        sa.Column("position", BIG, nullable=False),
        sa.Column("clock_at", BIG, nullable=True),
        sa.Column("first_at", BIG, nullable=True),
        sa.Column("inbox_seq", BIG, nullable=False),
        sa.Column("owner", TEXT, nullable=True),
        sa.Column("lease_until", BIG, nullable=True),
        sa.PrimaryKeyConstraint("lane", name=op.f("lanes_pkey")),
    )
    op.create_table(
        "log",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", BIG, autoincrement=False, nullable=False),
        sa.Column("recorded_at", BIG, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=True),
        sa.Column("body", BODY, nullable=False),
        sa.PrimaryKeyConstraint("lane", "position", name=op.f("log_pkey")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("log_by_account_id"), "log", ["account_id"], unique=False)
    op.create_index(op.f("log_by_lane_kind_position"), "log", ["lane", "kind", "position"], unique=False)
    op.create_table(
        "offsets",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("topic", TEXT, nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next", BIG, nullable=False),
        sa.PrimaryKeyConstraint("source", "topic", "partition", name=op.f("offsets_pkey")),
    )
    op.create_table(
        "people",
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", BODY, nullable=True),
        sa.Column("time", BIG, nullable=False),
        sa.Column("position", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", "name", name=op.f("people_pkey")),
    )
    op.create_table(
        "portfolio_shares",
        sa.Column("at", BIG, autoincrement=False, nullable=False),
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("values", BODY, nullable=False),
        sa.PrimaryKeyConstraint("at", "lane", name=op.f("portfolio_shares_pkey")),
    )
    op.create_table(
        "rulebooks",
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("files", BODY, nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("rulebooks_pkey")),
    )
    op.create_table(
        "settings",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", BODY, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("settings_pkey")),
    )
    op.create_table(
        "snapshots",
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("position", BIG, nullable=False),
        sa.Column("rulebook", TEXT, nullable=False),
        sa.Column("state", BODY, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("snapshots_pkey")),
    )
    op.create_index(op.f("snapshots_by_lane"), "snapshots", ["lane"], unique=False)
    op.create_table(
        "suppressions",
        sa.Column("address_key", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("address_key", name=op.f("suppressions_pkey")),
    )
    op.create_table(
        "tombstones",
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("pseudonym", TEXT, nullable=True),
        sa.Column("account_id", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("tombstones_pkey")),
    )
    op.create_index(op.f("tombstones_by_account_id"), "tombstones", ["account_id"], unique=False)
    op.create_table(
        "touches",
        sa.Column("touch", SERIAL, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("at", BIG, nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("touch", name=op.f("touches_pkey")),
    )
    op.create_index(op.f("touches_by_account_id_at"), "touches", ["account_id", "at"], unique=False)
    op.create_table(
        "outreach",
        sa.Column("outreach_id", TEXT, nullable=False),
        sa.Column("decision_id", TEXT, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("subject_kind", TEXT, nullable=True),
        sa.Column("subject_id", TEXT, nullable=True),
        sa.Column("to", TEXT, nullable=False),
        sa.Column("audience", TEXT, nullable=False),
        sa.Column("template", TEXT, nullable=False),
        sa.Column("mail_class", TEXT, nullable=False),
        sa.Column("mode", TEXT, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("due_at", BIG, nullable=False),
        sa.Column("expires_at", BIG, nullable=False),
        sa.Column("priority", BIG, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("why", TEXT, nullable=True),
        sa.Column("state_at", BIG, nullable=False),
        sa.Column("values", BODY, nullable=False),
        sa.Column("frozen", BODY, nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.decision_id"], name=op.f("outreach_decision_id_fkey")),
        sa.PrimaryKeyConstraint("outreach_id", name=op.f("outreach_pkey")),
    )
    op.create_index(op.f("outreach_by_account_id"), "outreach", ["account_id"], unique=False)
    op.create_index(op.f("outreach_by_decision_id"), "outreach", ["decision_id"], unique=False)
    op.create_index(op.f("outreach_by_due_at_outreach_id"), "outreach", ["due_at", "outreach_id"], unique=False)
    op.create_index(op.f("outreach_by_lane_state_due_at"), "outreach", ["lane", "state", "due_at"], unique=False)
    op.create_table(
        "outreach_changes",
        sa.Column("outreach_id", TEXT, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("before", TEXT, nullable=True),
        sa.Column("after", TEXT, nullable=False),
        sa.Column("why", TEXT, nullable=True),
        sa.Column("by", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["outreach_id"],
            ["outreach.outreach_id"],
            name=op.f("outreach_changes_outreach_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("outreach_id", "seq", name=op.f("outreach_changes_pkey")),
    )


def downgrade() -> None:
    """Refuse: an event store only goes forward; an older one comes back from its backup."""
    msg = "0001: a store cannot go back behind its first version; restore a backup instead"
    raise NotImplementedError(msg)
