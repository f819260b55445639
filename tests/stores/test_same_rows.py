"""SQLite and PostgreSQL hold the same rows after the same batches."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.decision import Subject
from engine.feedback import Feedback, Learned, MailFact, Step
from engine.instants import DAY, HOUR
from engine.pacing import Meter
from engine.store import Approval, Heartbeat, Note, Outage, Reminder, ReportRound, Sent, Stop, Store
from engine.stores import open_store
from engine.stores.sql import SqlStore
from engine.stores.tables import metadata, settings, tombstones
from tests.stores.made import (
    ACME,
    MINUTE,
    OTHER,
    OWNER,
    T0,
    account_in,
    batch,
    decision,
    ended,
    letter,
    move_mail,
    withdrawn,
)
from tests.stores.writer import LANES, whole


def _live(store: Store) -> None:
    """Write something of everything, in batches, with revivals, moves, history and letters."""
    claims = store.claim(LANES, OWNER, at=T0)
    for n in (1, 2, 3):
        claims = store.commit([whole(claim, n) for claim in claims])
    about = decision("é", OTHER, subject=Subject("ticket", "t\U0001f99c"), review=True)
    facts = [about, ended(about, T0 + 1), withdrawn(about, T0 + 1), decision("é", OTHER, at=T0 + 2)]
    claims[:1] = store.commit([batch(claims[0], facts=facts)])
    store.put_inbox([(OTHER, "event", b"{}"), (account_in(1), "entry", b"[]")], at=T0)
    store.move(
        store.outreach(rule="r2")[0].outreach_id, ["queued"], "accepted", at=T0, by="s", inbox=[(ACME, "event", b"")]
    )
    mail = next(one for one in store.outreach(account_id=ACME) if one.rule != "r2")
    step = Step(outreach_id=mail.outreach_id, before=(mail.state,), after="posting")
    kept = Sent(mail_id=mail.outreach_id, account_id=mail.account_id, user_id="é", raw=b"To: \xc3\xa9")
    assert move_mail(store, [step], at=T0, by="s", sent=kept)
    told = Feedback(provider="p", event_id="é", kind="bounced", at=T0, heard_at=T0, mail_id="m", person="k2")
    store.put_feedback([told, told], suppress={"é": "bounced"})
    bounced = MailFact(outreach_id=store.outreach(rule="r2")[0].outreach_id, kind="bounced", at=T0)
    store.learn(
        [Learned(seq=one.seq, account_id=ACME, facts=(bounced,)) for one in store.feedback(limit=9)], at=T0, by="w"
    )
    claims[:1] = store.commit([batch(claims[0], clock_at=T0 + MINUTE, history=True, inbox_seq=1)])
    store.put_heartbeat(Heartbeat("worker", T0, b"{}"))
    store.put_dead_letters([letter(7, raw=b"\x00\xff"), letter(7)])
    store.put_rulebook("f", {"a.yml": "é"}, at=T0)
    store.suppress("k", reason="bounced", at=T0)
    store.choose("k", {"tips": "out", "*": "in"}, at=T0, by="page")
    store.choose("k", {"tips": "in"}, at=T0 + 1, by="page")
    store.choose_rhythm("k", "monthly", "quarter", at=T0, by="page")
    store.put_report_round(ReportRound("monthly", "2026-03", T0, 1, 0))
    store.audit(at=T0, who="ann", what="approve", detail={"n": 1})
    store.stop(Stop("rule", "r2", T0, "ann", "why"))
    store.pace([[Meter("hourly", HOUR, 3, "3 per 1h"), Meter("warm-up", DAY, 0, "", (2, 3))]] * 3, at=T0)
    away = Outage(channel="é", since=T0, until=T0 + MINUTE, why="away", ours=True, failures=1, by="s")
    assert store.revoke(ACME, "é", "2026-02", note=Note(T0, "ann", "revoke", {"n": 1}))
    store.put_outage(away)
    assert store.try_channel(away, until=T0 + 2 * MINUTE)
    store.put_reminders([Reminder("morning:a", "a@b.example", T0, {"n": 1})])
    (row,) = store.outreach(rule="r2", account_id=ACME)
    words = {"subject": "s", "text": "t", "html": "h", "preview": ""}
    rows = ((row.outreach_id, row.at),)
    store.approve(
        [row],
        Approval(
            mail_id=row.outreach_id, account_id=ACME, rows=rows, at=T0, who="ann", until=T0, digest="d", words=words
        ),
    )
    store.forget_account(claims[1], account_in(1), at=T0)


def _rows(store: Store) -> dict[str, list[Any]]:
    assert isinstance(store, SqlStore)
    with store._driver.reading() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(_same_columns(table).order_by(*table.primary_key.columns))
            ]
            for table in metadata.sorted_tables
            if table not in {settings, tombstones}
        }


def _same_columns(table: sa.Table) -> sa.Select[Any]:
    """All but what the database's own clock says."""
    return sa.select(*(column for column in table.columns if column.name != "stored_at"))


def test_both_hold_the_same_rows(fresh_postgres: str, tmp_path: Path) -> None:
    rows = []
    for url in (fresh_postgres, f"sqlite:///{tmp_path / 'store.db'}", "sqlite://"):
        store = open_store(url)
        _live(store)
        rows.append(_rows(store))
        store.close()
    assert rows[0] == rows[1] == rows[2]
    assert {name for name, found in rows[0].items() if not found} == {"snapshots"}, "every other table took part"
