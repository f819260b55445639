"""A store that an earlier version made is brought up to date when it is opened, with everything in it."""

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from engine.stores import open_store, schema
from engine.stores.codec import encode
from tests.stores.made import ACME, T0, claimed, committed, decision, ended, withdrawn


def made_by_the_first_version(url: str) -> None:
    """A store with a decision, its mail and a dead letter, as version 0001 had them."""
    plan = decision()
    (mail,) = plan.mails
    rows: dict[str, list[dict[str, Any]]] = {
        "settings": [{"name": "lanes", "value": b"2"}, {"name": "secret", "value": bytes(32)}],
        "lanes": [{"lane": lane, "epoch": 0, "position": 0, "inbox_seq": 0} for lane in range(2)],
        "inbox_heads": [{"lane": lane, "last_seq": 0} for lane in range(2)],
        "decisions": [
            {
                **{name: getattr(plan, name) for name in ("decision_id", "rule", "kind", "account_id", "occasion")},
                "lane": 0,
                "at": plan.at,
                "outcome": plan.outcome,
                **{name: encode(getattr(plan, name)) for name in ("values", "frozen", "mails")},
            }
        ],
        "outreach": [
            {
                **{name: getattr(plan, name) for name in ("decision_id", "rule", "kind", "account_id", "at")},
                **{
                    name: getattr(mail, name)
                    for name in ("outreach_id", "to", "audience", "template", "mail_class", "mode", "due_at")
                },
                "lane": 0,
                "expires_at": mail.expires_at,
                "priority": 5,
                "state": "queued",
                "state_at": T0,
                "values": b"{}",
                "frozen": b"{}",
                "steps": 1,
            }
        ],
        "events": [
            {
                "lane": 0,
                "position": 1,
                "recorded_at": T0,
                "time": T0,
                "id": "e1",
                "account_id": ACME,
                "type": "subscription.cancelled",
                "digest": bytes(16),
                "body": b"{}",
            }
        ],
        "dead_letters": [
            {"dead_letter_id": "d1", "source": "a", "place": "line 1", "reason": "r", "raw": b"{", "at": 1}
        ],
    }
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
        command.upgrade(config, "0001")
        tables = sa.MetaData()
        tables.reflect(connection)
        for name, found in rows.items():
            connection.execute(sa.insert(tables.tables[name]), found)
    engine.dispose()


def test_what_an_earlier_version_wrote_is_there_and_goes_on(durable_url: str) -> None:
    made_by_the_first_version(durable_url)
    store = open_store(durable_url)
    plan = decision()
    assert store.decisions() == [plan]
    assert (store.cancelled(ACME, at=T0 - 1), store.cancelled(ACME, at=T0)) == (False, True), "told before it was asked"
    assert [(one.dead_letter_id, one.headers) for one in store.dead_letters()] == [("d1", ())]
    facts = [ended(plan, T0 + 1), withdrawn(plan, T0 + 1)]
    committed(store, claimed(store), facts=facts, follow=frozenset({"decision"}))
    (row,) = store.outbox([0], "decision", limit=9)
    assert (json.loads(row.body)["revision"], row.account_id) == (2, ACME), "what was decided before is revision 1"
    store.close()
