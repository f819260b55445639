"""Batches of events from SendGrid: only what it signed is believed, and no address is kept."""

import json
from typing import Any

import pytest

from engine.errors import UsageError
from engine.instants import HOUR, MINUTE, SECOND
from outreach.addresses import address_key
from outreach.channels.sendgrid_events import SIGNATURE, TIMESTAMP, NotSignedError, checker, read_events
from tests.fakes.sendgrid import Signer
from tests.outreach.given import NOON

SIGNER = Signer()
CHECK = checker(SIGNER.public)
BODY = b'[{"event":"processed","email":"ada@acme.example"}]'


def event(name: str = "delivered", **more: Any) -> dict[str, Any]:
    return {"event": name, "email": "Ada@Acme.example", "timestamp": NOON // SECOND, "sg_event_id": "e1", **more}


def read(*events: Any) -> list[Any]:
    return read_events(json.dumps(events).encode(), str, at=NOON + MINUTE)


def test_what_sendgrid_signed_is_believed() -> None:
    CHECK(BODY, SIGNER.headers(BODY, at=NOON / SECOND), NOON)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({SIGNATURE: None}, id="no signature"),
        pytest.param({TIMESTAMP: None}, id="no timestamp"),
        pytest.param({SIGNATURE: ""}, id="an empty signature"),
        pytest.param({SIGNATURE: "bm8="}, id="a signature that is none"),
        pytest.param({SIGNATURE: "%%%"}, id="a signature that is not even base64"),
        pytest.param({SIGNATURE: Signer().headers(BODY, at=NOON / SECOND)[SIGNATURE]}, id="signed by somebody else"),
        pytest.param({TIMESTAMP: str(NOON // SECOND + 1)}, id="another timestamp"),
        pytest.param({TIMESTAMP: "now"}, id="a timestamp that is none"),
        pytest.param({TIMESTAMP: "\u0661\u0662"}, id="digits of another script"),
    ],
)
def test_anything_off_is_refused(change: dict[str, str | None]) -> None:
    headers = {**SIGNER.headers(BODY, at=NOON / SECOND), **change}
    with pytest.raises(NotSignedError):
        CHECK(BODY, {name: text for name, text in headers.items() if text is not None}, NOON)


@pytest.mark.parametrize("body", [BODY.replace(b":", b": "), BODY + b" ", BODY[:-1], b"", b"\xff\xfe"])
def test_one_byte_more_or_less_is_not_what_was_signed(body: bytes) -> None:
    with pytest.raises(NotSignedError):
        CHECK(body, SIGNER.headers(BODY, at=NOON / SECOND), NOON)


def test_bytes_that_are_no_text_are_refused_though_they_are_signed() -> None:
    with pytest.raises(NotSignedError):
        CHECK(b"\xff", SIGNER.headers(b"\xff", at=NOON / SECOND), NOON)


@pytest.mark.parametrize(
    ("age", "good"), [(25 * HOUR, True), (25 * HOUR + SECOND, False), (-4 * MINUTE, True), (-HOUR, False)]
)
def test_a_batch_is_taken_for_as_long_as_it_is_tried_again_and_no_longer(age: int, good: bool) -> None:
    headers = SIGNER.headers(BODY, at=(NOON - age) / SECOND)
    if good:
        CHECK(BODY, headers, NOON)
    else:
        with pytest.raises(NotSignedError):
            CHECK(BODY, headers, NOON)


def test_a_key_that_is_none_is_said_at_once() -> None:
    with pytest.raises(UsageError, match="RINGFIRST_SENDGRID_WEBHOOK_KEY: it is no verification key"):
        checker("no key")


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (event("processed"), "processed"),
        (event("bounce", type="bounce"), "bounced"),
        (event("bounce"), "bounced"),
        (event("bounce", type="blocked"), "blocked"),
        (event("spamreport"), "complained"),
        (event("group_unsubscribe"), "unsubscribed"),
    ],
)
def test_each_event_has_its_kind(told: dict[str, Any], kind: str) -> None:
    assert [one.kind for one in read(told)] == [kind]


@pytest.mark.parametrize(
    "told", [event("account_status_change"), event("group_resubscribe"), {}, 7, None, {"event": 7}]
)
def test_what_is_about_no_mail_is_left_out(told: Any) -> None:
    assert [one.kind for one in read(told, event())] == ["delivered"]


@pytest.mark.parametrize("body", [b"{}", b"", b"null", b"[" * 100_000])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(UsageError):
        read_events(body, str, at=NOON)


def test_a_mail_is_known_by_our_id_theirs_and_the_message_id() -> None:
    (found,) = read(event(x_outbox_id="m1", sg_message_id="abc.recvd-1", **{"smtp-id": "<a@b>"}))
    assert (found.mail_id, found.provider_id, found.message_id, found.event_id) == ("m1", "abc", "<a@b>", "e1")
    (old,) = read(event(unique_args={"x_outbox_id": "m2"}))
    assert (old.mail_id, old.provider_id) == ("m2", None)


def test_an_event_without_an_id_is_the_same_when_it_is_told_again() -> None:
    one, two = event(sg_event_id=None), event(sg_event_id="x" * 101)
    assert read(one)[0].event_id == read(one)[0].event_id != read(two)[0].event_id
    assert len(read(two)[0].event_id) == 64


def test_no_address_is_kept_only_its_key() -> None:
    words = "550 5.1.1 <ada@acme.example>: nobody"
    (found,) = read(
        event("bounce", reason=words, response=words, ip="10.0.0.1", url="https://acme.example/?ada", useragent="x")
    )
    assert found.person == address_key(str, "ada@acme.example")
    assert json.loads(found.body) == {
        "event": "bounce",
        "timestamp": NOON // SECOND,
        "sg_event_id": "e1",
        "status": "5.1.1",
    }


@pytest.mark.parametrize("stamp", [None, "now", True, -1, 10**12, (NOON + HOUR) // SECOND])
def test_a_time_that_is_none_or_lies_ahead_is_the_time_it_was_heard(stamp: Any) -> None:
    assert read(event(timestamp=stamp))[0].at == NOON + MINUTE
    assert read(event())[0].at == NOON
