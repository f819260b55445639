"""What other systems send, as they send it, and what it becomes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import MAX_BYTES
from engine.instants import DAY, iso, parse_instant
from streams.foreign import Foreign
from streams.mapping import FORMATS, MAX_RECORD, mapped

AT = parse_instant("2026-03-01T12:00:00Z") or 0
WALL = AT + DAY
TEN = "2026-03-01T10:00:00.000Z"


def became(body, headers=(), at=AT):
    """The events of a record, short, and why it is a dead letter if it is one."""
    value = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    found = mapped(value, list(headers), at=at, wall=WALL)
    rows = []
    for raw, arrived in found.events:
        event = arrived.event
        row = json.loads(raw)
        assert (row["id"], row["account_id"]) == (event.id, event.account_id)
        rows.append((event.type, event.account_id, event.user_id, iso(event.time), row["properties"]))
    return rows, found.bad and found.bad.reason


def ids(body, headers=()):
    return [
        arrived.event.id for _, arrived in mapped(json.dumps(body).encode(), list(headers), at=AT, wall=WALL).events
    ]


CLOUD = {
    "specversion": "1.0",
    "id": "e-9",
    "source": "/shop",
    "type": "com.shop.order.created",
    "subject": "acct_1",
    "time": "2026-03-01T10:00:00Z",
    "data": {"total": 12.50, "user_id": "u1"},
}
TRACK = {
    "type": "track",
    "messageId": "m-1",
    "userId": "u1",
    "event": "Trial Started",
    "timestamp": "2026-03-01T10:00:00.000Z",
    "properties": {"trial_plan_name": "Business"},
    "context": {"groupId": "acct_1", "timezone": "Europe/Prague"},
}
IDENTIFY = {
    "type": "identify",
    "messageId": "m-2",
    "userId": "u1",
    "traits": {"email": "a@acme.example", "jobTitle": "COO"},
    "context": {"groupId": "acct_1"},
    "timestamp": "2026-03-01T10:00:00Z",
}
GROUP = {
    "type": "group",
    "messageId": "m-3",
    "userId": "u1",
    "groupId": "acct_1",
    "traits": {"name": "Acme", "employees": 40, "plan": "pro", "createdAt": "2025-01-01T00:00:00Z"},
    "timestamp": "2026-03-01T10:00:00Z",
}
ZENDESK = {
    "type": "zen:event-type:ticket.status_changed",
    "account_id": 88,
    "id": "01HN",
    "time": "2026-03-01T10:00:00Z",
    "zendesk_event_version": "2022-11-06",
    "subject": "zen:ticket:35436",
    "detail": {
        "id": "35436",
        "status": "SOLVED",
        "organization_id": "509974",
        "requester_id": "20978392",
        "tags": ["billing", "how_to"],
        "priority": "HIGH",
        "via": {"channel": "web"},
    },
    "event": {"previous": "OPEN", "current": "SOLVED"},
}
ZENDESK_TOLD = {
    "ticket_id": "35436",
    "status": "solved",
    "priority": "high",
    "channel": "web",
    "tags": ["billing", "how_to"],
}
INTERCOM = {
    "type": "notification_event",
    "id": "notif_1",
    "topic": "conversation.admin.closed",
    "app_id": "abc",
    "created_at": 1772359200,
    "data": {
        "item": {
            "type": "conversation",
            "id": "55",
            "state": "closed",
            "company": {"company_id": "acct_1", "id": "5f"},
            "tags": {"type": "tag.list", "tags": [{"type": "tag", "id": "7", "name": "billing"}]},
            "contacts": {"contacts": [{"id": "c1", "external_id": "u1"}]},
            "statistics": {"count_reopens": 0},
        }
    },
}
FRESHDESK = {
    "freshdesk_webhook": {
        "ticket_id": 42,
        "ticket_subject": "Export fails",
        "ticket_status": "Open",
        "ticket_priority": "Urgent",
        "ticket_source": "Phone",
        "ticket_tags": "billing,how_to",
        "ticket_requester_email": "a@acme.example",
        "ticket_company_name": "Acme",
        "ticket_created_at": "2026-03-01T10:00:00Z",
        "ticket_updated_at": "2026-03-01T10:00:00Z",
    }
}
FRESHDESK_TOLD = {
    "ticket_id": "42",
    "status": "open",
    "priority": "urgent",
    "channel": "phone",
    "subject": "Export fails",
    "tags": ["billing", "how_to"],
}
ITEM = {
    "id": "si_1",
    "current_period_end": 1774951200,
    "quantity": 5,
    "price": {"id": "price_1", "unit_amount": 2000, "currency": "usd", "recurring": {"interval": "month"}},
}
STRIPE = {
    "id": "evt_1",
    "object": "event",
    "created": 1772359200,
    "type": "customer.subscription.updated",
    "livemode": False,
    "data": {
        "object": {
            "id": "sub_1",
            "object": "subscription",
            "customer": "cus_1",
            "status": "active",
            "cancel_at_period_end": True,
            "metadata": {"account_id": "acct_1"},
            "cancellation_details": {"comment": None, "feedback": "too_expensive", "reason": "cancellation_requested"},
            "items": {"object": "list", "data": [ITEM]},
        },
        "previous_attributes": {"cancel_at_period_end": False},
    },
}
STRIPE_TOLD = {
    "subscription_id": "sub_1",
    "status": "active",
    "plan": "price_1",
    "seats": 5,
    "mrr": 100.0,
    "currency": "USD",
    "period_end": "2026-03-31T10:00:00Z",
    "cancel_at_period_end": True,
    "feedback": "too_expensive",
    "reason": "cancellation_requested",
}
AMPLITUDE = {
    "api_key": "SECRET",
    "events": [
        {
            "user_id": "u1",
            "event_type": "Report Exported",
            "time": 1772359200000,
            "insert_id": "i-1",
            "groups": {"company": "acct_1"},
            "event_properties": {"rows": 20},
        }
    ],
}
MPARTICLE = {
    "events": [
        {
            "event_type": "custom_event",
            "data": {
                "event_name": "Report Exported",
                "custom_event_type": "other",
                "timestamp_unixtime_ms": 1772359200000,
                "source_message_id": "s-1",
                "custom_attributes": {"rows": "20"},
            },
        }
    ],
    "user_attributes": {"account_id": "acct_1"},
    "user_identities": [{"identity_type": "customer_id", "identity": "u1"}],
    "environment": "production",
}
CHURNZERO = {
    "appKey": "SECRET",
    "action": "trackEvent",
    "accountExternalId": "acct_1",
    "contactExternalId": "u1",
    "eventName": "Report Exported",
    "eventDate": "2026-03-01T10:00:00Z",
    "description": "20 rows",
    "quantity": 20,
}
OWN = {
    "id": "e1",
    "type": "feature.used",
    "account_id": "acct_1",
    "user_id": "u1",
    "time": "2026-03-01T10:00:00Z",
    "properties": {"n": 1.5},
}
EXAMPLES = {
    "CloudEvents": CLOUD,
    "Segment or RudderStack": TRACK,
    "Zendesk": ZENDESK,
    "Intercom": INTERCOM,
    "Freshdesk": FRESHDESK,
    "Stripe": STRIPE,
    "Amplitude": AMPLITUDE,
    "mParticle": MPARTICLE,
    "ChurnZero": CHURNZERO,
    "Ringfirst": OWN,
}
EXPORTED = ("report.exported", "acct_1", "u1", TEN)


def changed(body, *path, to):
    """A copy of a body with another value at the end of a path; ``...`` takes it out."""
    copy = json.loads(json.dumps(body))
    *way, last = path
    place = copy
    for key in way:
        place = place[key]
    if to is ...:
        del place[last]
    else:
        place[last] = to
    return copy


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        pytest.param(CLOUD, ("com.shop.order.created", "acct_1", "u1", TEN, {"total": 12.5}), id="CloudEvents"),
        pytest.param(
            TRACK, ("trial.started", "acct_1", "u1", TEN, {"trial_plan_name": "Business"}), id="Segment track"
        ),
        pytest.param(
            IDENTIFY,
            ("user.updated", "acct_1", "u1", TEN, {"email": "a@acme.example", "job_title": "COO"}),
            id="Segment identify",
        ),
        pytest.param(
            GROUP,
            (
                "account.updated",
                "acct_1",
                None,
                TEN,
                {"name": "Acme", "employees": 40, "plan": "pro", "created_at": "2025-01-01T00:00:00Z"},
            ),
            id="Segment group",
        ),
        pytest.param(ZENDESK, ("ticket.solved", "509974", "20978392", TEN, ZENDESK_TOLD), id="Zendesk"),
        pytest.param(
            INTERCOM,
            ("ticket.solved", "acct_1", "u1", TEN, {"ticket_id": "55", "tags": ["billing"], "reopens": 0}),
            id="Intercom",
        ),
        pytest.param(FRESHDESK, ("ticket.opened", "Acme", None, TEN, FRESHDESK_TOLD), id="Freshdesk"),
        pytest.param(STRIPE, ("subscription.updated", "acct_1", None, TEN, STRIPE_TOLD), id="Stripe"),
        pytest.param(AMPLITUDE, (*EXPORTED, {"rows": 20}), id="Amplitude upload"),
        pytest.param(AMPLITUDE["events"][0], (*EXPORTED, {"rows": 20}), id="Amplitude event"),
        pytest.param(MPARTICLE, (*EXPORTED, {"rows": "20"}), id="mParticle"),
        pytest.param(CHURNZERO, (*EXPORTED, {"description": "20 rows", "quantity": 20}), id="ChurnZero"),
        pytest.param(OWN, ("feature.used", "acct_1", "u1", TEN, {"n": 1.5}), id="our own"),
    ],
)
def test_an_event_of_another_system_becomes_one_of_ours(body, wanted):
    rows, bad = became(body)
    assert bad is None
    [(kind, account, user, time, properties)] = rows
    assert (kind, account, user, properties) == (wanted[0], wanted[1], wanted[2], wanted[4])
    assert parse_instant(time) == parse_instant(wanted[3])
    assert ids(body) == ids(json.loads(json.dumps(body))), "the same record gives the same id"
    assert "SECRET" not in str(rows)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_record_is_of_one_format_alone(name):
    record = Foreign(EXAMPLES[name], {}, AT)
    assert [other for other, one in FORMATS.items() if one.recognises(record)] == [name]


def test_every_format_has_an_example():
    assert set(EXAMPLES) == set(FORMATS)


ID_PATHS = {
    "CloudEvents": ("id",),
    "Segment or RudderStack": ("messageId",),
    "Zendesk": ("id",),
    "Intercom": ("id",),
    "Stripe": ("id",),
    "Ringfirst": ("id",),
    "Amplitude": ("events", 0, "insert_id"),
    "mParticle": ("events", 0, "data", "source_message_id"),
    "Freshdesk": ("freshdesk_webhook", "ticket_updated_at"),
    "ChurnZero": ("eventDate",),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_another_event_has_another_id_and_the_same_one_the_same(name):
    other = changed(EXAMPLES[name], *ID_PATHS[name], to="2026-03-01T10:00:01Z")
    assert ids(other) != ids(EXAMPLES[name])
    assert ids(other) == ids(other)
    assert all(len(one) <= 200 for one in ids(changed(EXAMPLES[name], *ID_PATHS[name], to="2026-03-01T10:00:01Z")))


ACCOUNT_PATHS = {
    "CloudEvents": ("subject",),
    "Segment or RudderStack": ("context",),
    "Zendesk": ("detail", "organization_id"),
    "Intercom": ("data", "item", "company"),
    "Freshdesk": ("freshdesk_webhook", "ticket_company_name"),
    "Amplitude": ("events", 0, "groups"),
    "mParticle": ("user_attributes",),
}


@pytest.mark.parametrize("name", ACCOUNT_PATHS)
def test_without_an_account_a_record_says_so(name):
    rows, bad = became(changed(EXAMPLES[name], *ACCOUNT_PATHS[name], to=...))
    assert rows == []
    assert bad is not None
    assert bad.startswith(f"{name}: no account: ")
    assert "send the account's id there" in bad


def test_a_cloud_event_in_headers_is_the_same_as_one_in_its_value():
    headers = [
        (f"ce_{name}", str(CLOUD[name]).encode()) for name in ("specversion", "id", "source", "type", "subject", "time")
    ]
    assert became(CLOUD["data"], headers) == became(CLOUD)
    found = mapped(json.dumps(CLOUD["data"]).encode(), headers, at=AT, wall=WALL)
    assert [one.event.id for _, one in found.events] == ids(CLOUD)
    rows, bad = became(None, headers)
    assert (rows[0][0], rows[0][-1], bad) == ("com.shop.order.created", {}, None)


def test_a_cloud_event_without_a_time_happened_when_it_was_published():
    [(*_, time, _)], _ = became(changed(CLOUD, "time", to=...))
    assert parse_instant(time) == AT


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (changed(CLOUD, "specversion", to="0.3"), "specversion: not 1.x"),
        (changed(CLOUD, "source", to=...), "source: missing"),
        (changed(CLOUD, "data", to=[1]), "data: no JSON object"),
        ({**CLOUD, "data_base64": "AA=="}, "data_base64: the data is no JSON"),
        (changed(CLOUD, "time", to="noon"), "time: no instant; found 'noon'"),
        (changed(CLOUD, "type", to="outreach.sent"), "type: outreach.sent is written by Ringfirst itself"),
        (changed(CLOUD, "time", to="2036-03-01T10:00:00Z"), "time: more than 24 h ahead"),
        (changed(TRACK, "event", to=""), "event: a track call without a name"),
        (changed(IDENTIFY, "userId", to=...), "userId: an identify call of nobody"),
        (changed(CHURNZERO, "action", to="setAttribute"), "action: only trackEvent is an event"),
        (changed(CHURNZERO, "eventName", to=""), "eventName: missing"),
        (changed(MPARTICLE, "events", 0, "data", "timestamp_unixtime_ms", to=None), "data.timestamp_unixtime_ms: no"),
        (changed(STRIPE, "data", "object", "items", "data", to=7), "a field is of another kind"),
        (changed(STRIPE, "data", "object", "items", "data", 0, "quantity", to=10**40), "a field is of another kind"),
        ({"hello": "world"}, "no format that is known"),
        ([], "no format that is known"),
        (b"{broken", "not an event"),
        (b"\xff\xfe", "not an event"),
        (None, "no format that is known"),
        (b"", "no format that is known"),
        (b"[" * 100_000, "not an event"),
        (b" " * (MAX_RECORD + 1), "larger than 2 MB"),
        (changed(CLOUD, "data", to={"text": "x" * MAX_BYTES}), "larger than 256 KB"),
        (changed(OWN, "id", to=7), "not an event"),
    ],
)
def test_what_cannot_be_mapped_says_why(body, words):
    rows, bad = became(body)
    assert rows == []
    assert bad is not None
    assert words in bad


def test_the_good_events_beside_a_bad_one_go_through():
    bad = changed(AMPLITUDE["events"][0], "groups", to={})
    rows, reason = became({"events": [AMPLITUDE["events"][0], bad]})
    assert len(rows) == 1
    assert "no account" in (reason or "")


@pytest.mark.parametrize(
    "body",
    [
        {"type": "alias", "messageId": "m", "userId": "a", "previousId": "b"},
        changed(ZENDESK, "event", to={"previous": "OPEN", "current": "PENDING"}),
        {"type": "notification_event", "topic": "ping", "id": "n"},
        changed(AMPLITUDE, "events", 0, "event_type", to="$identify"),
    ],
)
def test_what_is_known_and_of_no_use_is_passed_over(body):
    assert became(body) == ([], None)


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        (changed(TRACK, "event", to="Signed In"), "session.started", {}),
        (changed(TRACK, "event", to="Invite Sent"), "user.invited", {}),
        ({**TRACK, "type": "page", "name": "Home"}, "page.viewed", {"name": "Home"}),
        ({**TRACK, "type": "screen"}, "screen.viewed", {}),
        (changed(ZENDESK, "event", to={"previous": "SOLVED", "current": "OPEN"}), "ticket.reopened", {}),
        (changed(ZENDESK, "event", to={"previous": "Solved", "current": "closed"}), "ticket.closed", {}),
        (changed(ZENDESK, "type", to="zen:event-type:ticket.created"), "ticket.opened", {}),
        (changed(ZENDESK, "type", to="zen:event-type:ticket.comment_added"), "ticket.replied", {"by": "agent"}),
        (
            changed({**ZENDESK, "type": "zen:event-type:ticket.comment_added"}, "detail", "actor_id", to=20978392),
            "ticket.replied",
            {"by": "customer"},
        ),
        (changed(ZENDESK, "type", to="zen:event-type:ticket.merged"), "ticket.merged", {}),
        (changed(INTERCOM, "topic", to="conversation.user.created"), "ticket.opened", {}),
        (changed(INTERCOM, "topic", to="conversation.user.replied"), "ticket.replied", {"by": "customer"}),
        (changed(INTERCOM, "topic", to="conversation.admin.replied"), "ticket.replied", {"by": "agent"}),
        (changed(INTERCOM, "topic", to="contact.unsubscribed"), "contact.unsubscribed", {}),
        (changed(FRESHDESK, "freshdesk_webhook", "ticket_status", to="Resolved"), "ticket.solved", {}),
        (changed(FRESHDESK, "freshdesk_webhook", "ticket_status", to="Closed"), "ticket.closed", {}),
        (
            changed(FRESHDESK, "freshdesk_webhook", "ticket_updated_at", to="2026-03-01T11:00:00Z"),
            "ticket.updated",
            {"status": "open"},
        ),
        (changed(STRIPE, "type", to="customer.subscription.deleted"), "subscription.cancelled", {}),
        (
            changed(
                changed(STRIPE, "data", "object", "items", "data", 0, "current_period_end", to=...),
                "data",
                "object",
                "current_period_end",
                to=1774951200,
            ),
            "subscription.updated",
            {"period_end": "2026-03-31T10:00:00Z"},
        ),
        (
            changed(STRIPE, "data", "object", "items", "data", 0, "price", "recurring", to={"interval": "year"}),
            "subscription.updated",
            {"mrr": 8.33},
        ),
        (
            changed(STRIPE, "data", "object", "items", "data", 0, "price", "currency", to="jpy"),
            "subscription.updated",
            {"mrr": 10_000.0, "currency": "JPY"},
        ),
        (
            {**STRIPE, "type": "invoice.payment_failed"}
            | {"data": {"object": {"object": "invoice", "id": "in_1", "customer": "cus_1", "attempt_count": 2}}},
            "invoice.payment_failed",
            {"object": "invoice", "object_id": "in_1", "attempts": 2},
        ),
        (changed(MPARTICLE, "events", 0, "event_type", to="session_start"), "session.started", {}),
        (changed(MPARTICLE, "user_identities", to={"customer_id": "u1"}), "report.exported", {}),
    ],
)
def test_every_kind_of_message_has_its_type(body, kind, told):
    [(found, _, _, _, properties)], bad = became(body)
    assert (found, bad) == (kind, None)
    assert {name: properties.get(name) for name in told} == told


def test_of_a_subscription_without_a_fixed_price_no_month_is_told():
    body = changed(STRIPE, "data", "object", "items", "data", 0, "price", "unit_amount", to=None)
    [(*_, properties)], _ = became(body)
    assert "mrr" not in properties


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def paths(value, way=()):
    """Every place in a body."""
    yield way
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(inner, (*way, key))


@given(name=st.sampled_from(sorted(EXAMPLES)), data=st.data(), value=anything)
def test_whatever_somebody_sends_is_events_or_a_reason(name, data, value):
    place = data.draw(st.sampled_from([way for way in paths(EXAMPLES[name]) if way]))
    body = changed(EXAMPLES[name], *place, to=value)
    rows, bad = became(body)
    assert bad is None or "; " in bad
    assert all(account and kind for kind, account, *_ in rows)
    assert ids(body) == ids(json.loads(json.dumps(body)))
