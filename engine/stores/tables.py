"""The tables of the event store, as this program expects them; ``migrations`` brings a database there."""

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ix": "%(table_name)s_by_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
    },
)

# Ids are ordered by their bytes everywhere: SQLite does so by itself, PostgreSQL only when told.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# UTC milliseconds, positions and offsets outgrow 32 bits.
BIG = sa.BigInteger()
# SQLite counts up by itself only in a column of exactly this type.
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# JSON is kept as bytes: a database that reads JSON also rounds its numbers and orders its keys.
BODY = sa.LargeBinary()


def _must(name: str, kind: sa.types.TypeEngine[Any]) -> "sa.Column[Any]":
    return sa.Column(name, kind, nullable=False)


def _may(name: str, kind: sa.types.TypeEngine[Any]) -> "sa.Column[Any]":
    return sa.Column(name, kind, nullable=True)


settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", TEXT, primary_key=True),
    _must("value", BODY),
)

lanes = sa.Table(
    "lanes",
    metadata,
    sa.Column("lane", sa.Integer, primary_key=True, autoincrement=False),
    _must("epoch", BIG),
    _must("position", BIG),
    _may("clock_at", BIG),
    _may("first_at", BIG),
    _must("inbox_seq", BIG),
    _may("owner", TEXT),
    _may("lease_until", BIG),
    # The newest epoch whose owner took in what happens as it happened; none: only history was taken in.
    _may("live_epoch", BIG),
)

# Apart from ``lanes``: who leaves something in an inbox must not wait for, or deadlock with, the lane's owner.
inbox_heads = sa.Table(
    "inbox_heads",
    metadata,
    sa.Column("lane", sa.Integer, primary_key=True, autoincrement=False),
    _must("last_seq", BIG),
)

offsets = sa.Table(
    "offsets",
    metadata,
    sa.Column("source", TEXT, primary_key=True),
    sa.Column("topic", TEXT, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    _must("next", BIG),
    _may("log", TEXT),
)

# Clustered by (lane, position): a lane is read from front to back far more often than rows are looked up one by one.
events = sa.Table(
    "events",
    metadata,
    sa.Column("lane", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", BIG, primary_key=True, autoincrement=False),
    _must("recorded_at", BIG),
    _must("time", BIG),
    _must("id", TEXT),
    _must("type", TEXT),
    _must("account_id", TEXT),
    _may("user_id", TEXT),
    _must("digest", BODY),
    _must("body", BODY),
    sa.UniqueConstraint("account_id", "id"),
    sqlite_with_rowid=False,
)

log = sa.Table(
    "log",
    metadata,
    sa.Column("lane", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", BIG, primary_key=True, autoincrement=False),
    _must("recorded_at", BIG),
    _must("kind", TEXT),
    _may("account_id", TEXT),
    _must("body", BODY),
    sa.Index(None, "lane", "kind", "position"),
    sa.Index(None, "account_id"),
    sqlite_with_rowid=False,
)

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("lane", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", BIG, primary_key=True, autoincrement=False),
    _must("kind", TEXT),
    _must("at", BIG),
    _must("account_id", TEXT),
    _must("body", BODY),
)

rulebooks = sa.Table(
    "rulebooks",
    metadata,
    sa.Column("fingerprint", TEXT, primary_key=True),
    _must("at", BIG),
    _must("files", BODY),
)

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("account_id", TEXT, primary_key=True),
    _must("lane", sa.Integer()),
    _must("position", BIG),
    _must("rulebook", TEXT),
    _must("state", BODY),
    sa.Index(None, "lane"),
)

portfolio_shares = sa.Table(
    "portfolio_shares",
    metadata,
    sa.Column("at", BIG, primary_key=True, autoincrement=False),
    sa.Column("lane", sa.Integer, primary_key=True, autoincrement=False),
    _must("values", BODY),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("decision_id", TEXT, primary_key=True),
    _must("lane", sa.Integer()),
    _must("rule", TEXT),
    _must("kind", TEXT),
    _must("account_id", TEXT),
    _may("subject_kind", TEXT),
    _may("subject_id", TEXT),
    _must("occasion", TEXT),
    _must("at", BIG),
    _must("outcome", TEXT),
    _must("values", BODY),
    _must("frozen", BODY),
    _must("mails", BODY),
    _may("withdrawn_at", BIG),
    # How often it was decided on: counted in the log's order, so that what is told outside of each has one id for ever.
    sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
    sa.Index(None, "account_id"),
    sa.Index(None, "at", "decision_id"),
)

outreach = sa.Table(
    "outreach",
    metadata,
    sa.Column("outreach_id", TEXT, primary_key=True),
    sa.Column("decision_id", TEXT, sa.ForeignKey("decisions.decision_id"), nullable=False),
    _must("lane", sa.Integer()),
    _must("rule", TEXT),
    _must("kind", TEXT),
    _must("account_id", TEXT),
    _may("subject_kind", TEXT),
    _may("subject_id", TEXT),
    _must("to", TEXT),
    _must("audience", TEXT),
    _must("template", TEXT),
    _must("mail_class", TEXT),
    _must("mode", TEXT),
    _must("at", BIG),
    _must("due_at", BIG),
    _must("expires_at", BIG),
    _must("priority", BIG),
    _must("state", TEXT),
    _may("why", TEXT),
    _must("state_at", BIG),
    _must("values", BODY),
    _must("frozen", BODY),
    _must("steps", sa.Integer()),
    # Which mail it went out in (joined rows share one), and the keyed hash of the address: caps count by these.
    _may("mail_id", TEXT),
    _may("person", TEXT),
    # By which channel it was handed over, its Message-ID, and the other side's id of it: feedback joins by these.
    _may("channel", TEXT),
    _may("message_id", TEXT),
    _may("provider_id", TEXT),
    # When a sender moved it there, by the store's clock; ``state_at`` is by the sender's.
    _may("stored_at", BIG),
    # How often in a row its channel did not take it for now; none: never.
    _may("tries", sa.Integer()),
    # The epoch of its lane's owner who decided it, the last time it was; none: an earlier version did.
    _may("epoch", BIG),
    sa.Index(None, "mail_id"),
    sa.Index(None, "message_id"),
    sa.Index(None, "provider_id"),
    sa.Index(None, "channel", "stored_at"),
    sa.Index(None, "decision_id"),
    sa.Index(None, "person"),
    sa.Index(None, "rule", "state_at"),
    sa.Index(None, "account_id"),
    sa.Index(None, "lane", "state", "due_at"),
    sa.Index(None, "due_at", "outreach_id"),
)

outreach_changes = sa.Table(
    "outreach_changes",
    metadata,
    sa.Column("outreach_id", TEXT, sa.ForeignKey("outreach.outreach_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    _must("at", BIG),
    _may("before", TEXT),
    _must("after", TEXT),
    _may("why", TEXT),
    _must("by", TEXT),
)

# What is known of a mail that is out. Facts, no states: each is told once, and none takes another back.
outreach_facts = sa.Table(
    "outreach_facts",
    metadata,
    sa.Column("outreach_id", TEXT, sa.ForeignKey("outreach.outreach_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", TEXT, primary_key=True),
    _must("at", BIG),
)

# What providers told, as it came: kept before it is answered, learned from after. No address stands in it.
feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("seq", SERIAL, primary_key=True),
    _must("provider", TEXT),
    _must("event_id", TEXT),
    _must("kind", TEXT),
    _must("at", BIG),
    _must("heard_at", BIG),
    _may("mail_id", TEXT),
    _may("provider_id", TEXT),
    _may("message_id", TEXT),
    _may("person", TEXT),
    _must("body", BODY),
    _may("settled_at", BIG),
    _may("account_id", TEXT),
    sa.UniqueConstraint("provider", "event_id"),
    sa.Index(None, "settled_at", "seq"),
    sa.Index(None, "account_id"),
)

people = sa.Table(
    "people",
    metadata,
    sa.Column("account_id", TEXT, primary_key=True),
    sa.Column("user_id", TEXT, primary_key=True),
    sa.Column("name", TEXT, primary_key=True),
    _may("value", BODY),
    _must("time", BIG),
    _must("position", BIG),
)

touches = sa.Table(
    "touches",
    metadata,
    sa.Column("touch", SERIAL, primary_key=True),
    _must("account_id", TEXT),
    _may("user_id", TEXT),
    _must("at", BIG),
    _must("channel", TEXT),
    _must("kind", TEXT),
    sa.Index(None, "account_id", "at"),
)

suppressions = sa.Table(
    "suppressions",
    metadata,
    sa.Column("address_key", TEXT, primary_key=True),
    _must("reason", TEXT),
    _must("at", BIG),
)

# The words that a person let leave, by the first outreach id of their mail; JSON.
approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("mail_id", TEXT, primary_key=True),
    _must("account_id", TEXT),
    _must("body", BODY),
    sa.Index(None, "account_id"),
)

# What our own people are to be told, once each; no customer stands in it.
reminders = sa.Table(
    "reminders",
    metadata,
    sa.Column("reminder_id", TEXT, primary_key=True),
    _must("to", TEXT),
    _must("at", BIG),
    _must("state", TEXT),
    _must("body", BODY),
)

# What a person stopped; with ``per_hour``, what goes on again, slowly.
# Until when mails were decided whose links to a report open nothing any more.
# How often the reader of an address (a keyed hash) wants a report: month or quarter; all that was ever chosen.
rhythms = sa.Table(
    "rhythms",
    metadata,
    sa.Column("address_key", TEXT, primary_key=True),
    sa.Column("report", TEXT, primary_key=True),
    sa.Column("at", BIG, primary_key=True),
    _must("every", TEXT),
    _must("by", TEXT),
)

revoked = sa.Table(
    "revoked",
    metadata,
    sa.Column("account_id", TEXT, primary_key=True),
    sa.Column("report", TEXT, primary_key=True),
    sa.Column("period", TEXT, primary_key=True),
    _must("at", BIG),
)

stops = sa.Table(
    "stops",
    metadata,
    sa.Column("scope", TEXT, primary_key=True),
    sa.Column("name", TEXT, primary_key=True),
    _may("account_id", TEXT),
    _must("at", BIG),
    _must("who", TEXT),
    _must("why", TEXT),
    _may("per_hour", sa.Integer()),
)

# How many mails were counted under a limit, by the part of its span in which they left; no domain stands in a name.
paces = sa.Table(
    "paces",
    metadata,
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("at", BIG, primary_key=True, autoincrement=False),
    _must("mails", sa.Integer()),
)

# Channels that take nothing now, so that all senders leave them alone and whoever is on call sees it.
outages = sa.Table(
    "outages",
    metadata,
    sa.Column("channel", TEXT, primary_key=True),
    _must("since", BIG),
    _must("until", BIG),
    _must("why", TEXT),
    _must("ours", sa.Integer()),
    _must("failures", sa.Integer()),
    _must("by", TEXT),
)

# How far whoever issues reports has come with each period; what is missing here, nobody has looked at.
report_rounds = sa.Table(
    "report_rounds",
    metadata,
    sa.Column("report", TEXT, primary_key=True),
    sa.Column("period", TEXT, primary_key=True),
    _must("at", BIG),
    _must("waiting", BIG),
    _must("failed", BIG),
)

# What the reader of an address chose for a topic ("*": all mails but transactional ones): "in" or "out".
choices = sa.Table(
    "choices",
    metadata,
    sa.Column("address_key", TEXT, primary_key=True),
    sa.Column("topic", TEXT, primary_key=True),
    _must("choice", TEXT),
    _must("at", BIG),
    _must("by", TEXT),
)

# What was handed to a channel, to the byte (compressed); ``user_id`` is its reader, none for a note to us.
sent = sa.Table(
    "sent",
    metadata,
    sa.Column("mail_id", TEXT, primary_key=True),
    _must("account_id", TEXT),
    _may("user_id", TEXT),
    _must("at", BIG),
    _must("raw", BODY),
    sa.Index(None, "account_id"),
    sa.Index(None, "at"),
)

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("seq", SERIAL, primary_key=True),
    _must("dead_letter_id", TEXT),
    _must("source", TEXT),
    _must("place", TEXT),
    _must("reason", TEXT),
    _must("raw", BODY),
    _must("at", BIG),
    _may("account_id", TEXT),
    _may("headers", BODY),
    sa.UniqueConstraint("dead_letter_id"),
    sa.Index(None, "account_id"),
)

# What a worker says of itself every few seconds, beside its batches; no transaction of a lane touches it.
workers = sa.Table(
    "workers",
    metadata,
    sa.Column("owner", TEXT, primary_key=True),
    _must("heard_at", BIG),
    _must("body", BODY),
)

# What waits to be published. A lane's rows are numbered by its owner alone, so they become visible in their order.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("seq", SERIAL, primary_key=True),
    _must("lane", sa.Integer()),
    _must("kind", TEXT),
    _must("item", TEXT),
    _may("account_id", TEXT),
    _must("body", BODY),
    sa.Index(None, "lane", "kind", "seq"),
    sa.Index(None, "account_id"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", SERIAL, primary_key=True),
    _must("at", BIG),
    _must("who", TEXT),
    _must("what", TEXT),
    _must("detail", BODY),
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("hash", TEXT, primary_key=True),
    _must("at", BIG),
    _may("pseudonym", TEXT),
    _may("account_id", TEXT),
    sa.Index(None, "account_id"),
)
