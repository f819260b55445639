"""SendGrid's webhook on a real listener: only what is signed is taken, and what is taken is learned from."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from engine.store import Store
from engine.stores import open_store
from outreach.channels.sendgrid import SendGridChannel
from outreach.channels.sendgrid_account import SendGridAccount
from outreach.sender import send_due
from ringfirst.settings import Settings
from ringfirst.web.routes import routes_of
from ringfirst.web.sendgrid import PATH
from tests.fakes.sendgrid import KEY, SIGNATURE, TIMESTAMP, FakeSendGrid, poster, serving
from tests.outreach.given import DUE, POLICY, SENDER, keep, only, planned, starter_templates
from tests.web.given import Outside


@pytest.fixture
def store(tmp_path: Any) -> Iterator[Store]:
    made = open_store(f"sqlite:///{tmp_path / 'ringfirst.db'}")
    yield made
    made.close()


@pytest.fixture
def fake(store: Store) -> Iterator[FakeSendGrid]:
    with serving(FakeSendGrid()) as made:
        yield made


@pytest.fixture
def outside(store: Store, fake: FakeSendGrid) -> Iterator[Outside]:
    found = Settings(sendgrid_webhook_key=fake.signer.public)
    with Outside(routes_of(store, found)) as made:
        fake.webhook = poster(f"http://127.0.0.1:{made.port}{PATH}")
        yield made


def until(true: Any, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not true():
        time.sleep(0.02)
    return bool(true())


def test_what_sendgrid_tells_settles_a_mail_in_doubt(store: Store, fake: FakeSendGrid, outside: Outside) -> None:
    keep(store, planned())
    fake.mode = lambda _: "500-after"
    channel = SendGridChannel(SendGridAccount(key=KEY, host=fake.url))
    send_due(store, starter_templates(), channel, sender=SENDER, at=DUE, by="test", policy=POLICY)
    assert only(store).state == "in_doubt"
    fake.flush()
    assert until(lambda: only(store).state == "accepted")
    assert until(
        lambda: set(store.facts([only(store).outreach_id])[only(store).outreach_id]) == {"processed", "delivered"}
    )


def test_a_full_batch_is_answered_within_a_second(store: Store, fake: FakeSendGrid, outside: Outside) -> None:
    one = {
        "event": "processed",
        "email": "ada@acme.example",
        "timestamp": 1,
        "smtp-id": "<" + "x" * 300 + "@acme.example>",
    }
    body = json.dumps([{**one, "sg_event_id": f"{n:048}"} for n in range(1_400)]).encode()
    assert 600_000 < len(body) < 786_432
    began = time.monotonic()
    said = outside.ask("POST", PATH, body, **_signed(fake, body))
    took = time.monotonic() - began
    assert said.status == 204
    assert took < 1.0, took
    assert until(lambda: not store.feedback(limit=1), 30)


def test_events_that_come_at_once_are_all_learned_from(store: Store, fake: FakeSendGrid, outside: Outside) -> None:
    from concurrent.futures import ThreadPoolExecutor

    bodies = [json.dumps([{"event": "processed", "sg_event_id": f"e{n}"}]).encode() for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: outside.ask("POST", PATH, body, **_signed(fake, body)).status, bodies))
    assert answers == [204] * 40
    assert until(lambda: not store.feedback(limit=1))


@pytest.mark.parametrize(
    ("change", "status"),
    [({SIGNATURE: "x"}, 401), ({TIMESTAMP: "1"}, 401), ({SIGNATURE: ""}, 401), ({}, 204)],
)
def test_only_what_is_signed_is_taken(
    store: Store, fake: FakeSendGrid, outside: Outside, change: dict[str, str], status: int
) -> None:
    body = b'[{"event": "spamreport", "email": "ada@acme.example", "sg_event_id": "e"}]'
    headers = {**fake.signer.headers(body), **change}
    told = {name.replace("-", "_"): text for name, text in headers.items() if text}
    assert outside.ask("POST", PATH, body, **told).status == status
    assert bool(store.feedback(limit=1)) or until(lambda: not store.feedback(limit=1))
    assert store.put_feedback([]) == 0
    from outreach.addresses import address_key

    assert store.suppressed(address_key(store.key, "ada@acme.example")) == ("complained" if status == 204 else None)


def test_what_is_signed_and_no_batch_is_said(store: Store, fake: FakeSendGrid, outside: Outside) -> None:
    assert outside.ask("POST", PATH, b"{}", **_signed(fake, b"{}")).status == 400


def test_without_a_key_there_is_no_webhook(store: Store, fake: FakeSendGrid) -> None:
    with Outside(routes_of(store, Settings())) as made:
        assert made.ask("POST", PATH, b"[]", **_signed(fake, b"[]")).status == 404


def test_nobody_looks_at_it(outside: Outside) -> None:
    assert outside.ask("GET", PATH).status == 404


def _signed(fake: FakeSendGrid, body: bytes) -> dict[str, str]:
    return {name.replace("-", "_"): text for name, text in fake.signer.headers(body).items()}
