"""Everything that DESIGN 3 says about what comes in: what is let through, and the one sentence about what is not."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import (
    Arrived,
    BadEvent,
    decode,
    decode_properties,
    digest,
    encode_event,
    encode_properties,
    split_personal,
)
from engine.instants import DAY, parse_instant
from engine.log import Event
from engine.refusals import strays

WALL = parse_instant("2026-03-02T12:00:00Z") or 0
GOOD: dict[str, Any] = {
    "id": "evt-1",
    "type": "feature.used",
    "account_id": "acme",
    "user_id": "u1",
    "time": "2026-03-01T09:00:00Z",
    "properties": {"feature": "reports"},
}


def raw(**changes: Any) -> bytes:
    """A good event with changes; a value of ``...`` takes the key out."""
    return msgspec.json.encode({key: value for key, value in (GOOD | changes).items() if value is not ...})


def taken(line: bytes, **more: Any) -> Event:
    found = decode(line, wall=WALL, **more)
    assert isinstance(found, Arrived), found
    return found.event


def reason(line: bytes, **more: Any) -> str:
    found = decode(line, wall=WALL, **more)
    assert isinstance(found, BadEvent), found
    return found.reason


def nested(depth: int) -> bytes:
    """An event that is ``depth`` levels deep, itself and its properties included."""
    return raw(properties=...)[:-1] + b',"properties":' + b'{"a":' * (depth - 1) + b"1" + b"}" * (depth - 1) + b"}"


def test_a_good_event_comes_through_as_it_is() -> None:
    assert taken(raw()) == Event("evt-1", "feature.used", "acme", "u1", 1_772_355_600_000, {"feature": "reports"})


def test_the_properties_stay_the_bytes_that_were_received() -> None:
    line = raw(properties=...)[:-1] + b',"properties": { "b" : 1.50,  "a": "\\u00e9" } }'
    found = decode(line, wall=WALL)
    assert isinstance(found, Arrived)
    assert found.body == b'{ "b" : 1.50,  "a": "\\u00e9" }'


@pytest.mark.parametrize("missing", ["user_id", "properties"])
def test_a_person_and_properties_may_be_left_out(missing: str) -> None:
    event = taken(raw(**{missing: ...}))
    assert getattr(event, missing) in (None, {})


def test_a_person_may_be_null() -> None:
    assert taken(raw(user_id=None)).user_id is None


def test_keys_that_nobody_knows_are_left_out() -> None:
    assert taken(raw(context={"ip": "127.0.0.1"})) == taken(raw())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b"", "not an event: no whole JSON: it ends early", id="nothing"),
        pytest.param(b"[]", "should be one JSON object with id, type, account_id and time; found a list", id="a list"),
        pytest.param(b"null", "account_id and time; found null; send each event as one", id="null"),
        pytest.param(b'"text"', "account_id and time; found text; send each event as one", id="a text"),
        pytest.param(raw()[:-1], "it ends early, or inside a text", id="cut off"),
        pytest.param(raw() + raw(), "not an event: no JSON", id="two on one line"),
        pytest.param(b"{}{}", "not an event: no JSON object alone; write one event", id="two empty ones on one line"),
        pytest.param(b"{id: 1}", "no JSON: object keys must be strings, at byte 1; write each", id="no JSON"),
        pytest.param(
            raw(id=...),
            "not an event: 'id' is missing; each event has id, type, account_id and time; add it",
            id="no id",
        ),
        pytest.param(
            raw(type=...),
            "not an event: 'type' is missing; each event has id, type, account_id and time; add it",
            id="no type",
        ),
        pytest.param(
            raw(account_id=...),
            "not an event: 'account_id' is missing; each event has id, type, account_id and time; add it",
            id="no account",
        ),
        pytest.param(
            raw(time=...),
            "not an event: 'time' is missing; each event has id, type, account_id and time; add it",
            id="no time",
        ),
        pytest.param(raw(id=7), "id: should be text; found a number; put it in quotes", id="a number as id"),
        pytest.param(raw(id=None), "id: should be text; found null; send one", id="null as id"),
        pytest.param(
            raw(account_id=["acme"]), "account_id: should be text; found a list; send one", id="a list as account"
        ),
        pytest.param(
            raw(user_id=12),
            "user_id: should be text; found a number; put it in quotes, or leave it out",
            id="a number as person",
        ),
        pytest.param(
            raw(time=1_772_355_600),
            "time: should be text; found a number; write an ISO 8601 instant with",
            id="seconds as time",
        ),
        pytest.param(
            raw(properties=[1]), "properties: should be an object; found a list; write {", id="a list as properties"
        ),
        pytest.param(
            raw(properties=None), "properties: should be an object; found null; write {", id="null as properties"
        ),
        pytest.param(raw(id=""), "id: must have 1 to 200 characters; found 0", id="an empty id"),
        pytest.param(raw(id="x" * 201), "id: must have 1 to 200 characters; found 201", id="a long id"),
        pytest.param(raw(account_id=""), "account_id: must have 1 to 200 characters; found 0", id="an empty account"),
        pytest.param(raw(account_id="a" * 201), "account_id: must have 1 to 200", id="a long account"),
        pytest.param(raw(user_id=""), "user_id: must have 1 to 200 characters; found 0", id="an empty person"),
        pytest.param(raw(user_id="u" * 201), "user_id: must have 1 to 200", id="a long person"),
        pytest.param(raw(type=""), "type: must have 1 to 200 characters; found 0", id="an empty type"),
        pytest.param(raw(type="t" * 201), "type: must have 1 to 200", id="a long type"),
        pytest.param(raw(type="feature\nused"), "type: has a control character", id="a line break in the type"),
        pytest.param(raw(type="feature\x7fused"), "type: has a control character", id="a delete sign in the type"),
        pytest.param(raw(type="feature\x85used"), "type: has a control character", id="a C1 control in the type"),
        pytest.param(raw(account_id="*"), "'*' stands for the portfolio", id="the portfolio's own name"),
        pytest.param(raw(time="yesterday"), "time: not an ISO 8601 instant", id="no instant"),
        pytest.param(raw(time="2026-03-01"), "time: not an ISO 8601 instant", id="a day"),
        pytest.param(raw(time="2026-03-01T09:00:00"), "time: not an ISO 8601 instant", id="no offset"),
        pytest.param(raw(time="2026-02-30T09:00:00Z"), "time: not an ISO 8601 instant", id="a day that is not"),
        pytest.param(raw(time="2026-03-01T09:00:00+24:00"), "time: not an ISO", id="an offset that is not"),
        pytest.param(raw(time="2026-03-01T25:00:00Z"), "time: not an ISO 8601 instant", id="an hour that is not"),
        pytest.param(raw(time="٢٠٢٦-03-01T09:00:00Z"), "time: not an ISO 8601 instant", id="other digits"),
        pytest.param(raw(time="2026-03-03T12:00:00.001Z"), "more than 24 h ahead", id="far ahead"),
        pytest.param(raw(time="9999-12-31T23:59:59Z"), "more than 24 h ahead", id="the end of time"),
        pytest.param(raw(type="outreach.sent"), "written by Ringfirst itself", id="one of our own"),
    ],
)
def test_what_is_no_event_is_refused_with_its_reason(line: bytes, expected: str) -> None:
    assert expected in reason(line)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b'{"a": NaN}', "not an event", id="NaN"),
        pytest.param(b'{"a": Infinity}', "not an event", id="infinity"),
        pytest.param(b'{"a": -Infinity}', "not an event", id="minus infinity"),
        pytest.param(b'{"a": "\\u0000"}', "U+0000 or a lone surrogate", id="U+0000 as a value"),
        pytest.param(b'{"\\u0000": 1}', "U+0000 or a lone surrogate", id="U+0000 as a key"),
        pytest.param(b'{"a": {"b": ["\\u0000"]}}', "U+0000 or a lone surrogate", id="U+0000 deep inside"),
        pytest.param(b'{"a": "\\ud800"}', "", id="a lone high surrogate"),
        pytest.param(b'{"a": "\\udc00"}', "", id="a lone low surrogate"),
        pytest.param(b'{"\\ud83d": 1}', "", id="a lone surrogate as a key"),
        pytest.param(b'{"a": "\xff"}', "", id="bytes that are not UTF-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', "", id="a surrogate written in UTF-8"),
        pytest.param(b'{"a": "\xc0\xaf"}', "", id="an overlong spelling"),
    ],
)
def test_properties_that_no_database_could_keep_are_refused(line: bytes, expected: str) -> None:
    assert expected in reason(raw(properties=...)[:-1] + b',"properties":' + line + b"}")


@pytest.mark.parametrize("name", ["id", "type", "account_id", "user_id"])
@pytest.mark.parametrize("sign", [b"\\u0000", b"\\ud800"])
def test_ids_are_plain_text(name: str, sign: bytes) -> None:
    assert reason(raw(**{name: "XX"}).replace(b"XX", b"a" + sign))


def test_a_pair_of_surrogates_is_one_sign() -> None:
    event = taken(raw(properties={"a": "XX"}).replace(b"XX", b"\\ud83d\\ude00"))
    assert event.properties == {"a": "\N{GRINNING FACE}"}


def test_256_kb_are_taken_and_a_byte_more_is_not() -> None:
    room = 256 * 1024 - len(raw(properties={"a": ""}))
    assert taken(raw(properties={"a": "x" * room})).id == "evt-1"
    assert reason(raw(properties={"a": "x" * (room + 1)})).startswith("larger than 256 KB; found 262145 bytes")


def test_20_levels_are_taken_and_one_more_is_not() -> None:
    assert taken(nested(20)).id == "evt-1"
    assert reason(nested(21)) == "properties: nested deeper than 20; send a flatter event"


@pytest.mark.parametrize("signs", [b'{"a":', b"["])
def test_a_hundred_thousand_levels_are_refused_and_nothing_breaks(signs: bytes) -> None:
    line = raw(properties=...)[:-1] + b',"properties":{"a":' + signs * 40_000
    assert "not an event" in reason(line)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert taken(raw(properties={"a": [[] for _ in range(1_000)]})).id == "evt-1"


def test_200_characters_are_200_characters_whatever_their_bytes() -> None:
    assert taken(raw(id="\N{GRINNING FACE}" * 200)).id == "\N{GRINNING FACE}" * 200


def test_a_type_is_any_text_and_case_matters() -> None:
    assert taken(raw(type="Ein Wort, größer als 3")).type == "Ein Wort, größer als 3"


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        pytest.param("2026-03-01T10:00:00+01:00", "2026-03-01T09:00:00Z", id="another offset"),
        pytest.param("2026-03-01T10:00:00+0100", "2026-03-01T09:00:00Z", id="an offset without a colon"),
        pytest.param("2026-03-01 09:00:00Z", "2026-03-01T09:00:00Z", id="a blank for the T"),
        pytest.param("2026-03-01T09:00Z", "2026-03-01T09:00:00Z", id="no seconds"),
        pytest.param("2026-03-01t09:00:00z", "2026-03-01T09:00:00Z", id="small letters"),
        pytest.param("2026-03-01T09:00:00.123456Z", "2026-03-01T09:00:00.123Z", id="finer than a millisecond"),
        pytest.param("2026-03-01T09:00:00.1239999999Z", "2026-03-01T09:00:00.123Z", id="cut, not rounded"),
        pytest.param("2026-03-01T09:00:00.5Z", "2026-03-01T09:00:00.500Z", id="a tenth"),
        pytest.param("2026-03-03T12:00:00Z", "2026-03-03T12:00:00Z", id="24 hours ahead to the millisecond"),
        pytest.param("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", id="the first instant there is"),
    ],
)
def test_any_spelling_of_an_instant_is_the_same_instant(time: str, expected: str) -> None:
    assert taken(raw(time=time)).time == parse_instant(expected)


def test_our_own_events_come_through_the_inbox_alone() -> None:
    assert taken(raw(type="outreach.sent"), from_inbox=True).type == "outreach.sent"
    assert "outreach.anything" in reason(raw(type="outreach.anything"))
    assert taken(raw(type="outreachable")).type == "outreachable"


@pytest.mark.parametrize(
    ("line", "account"),
    [
        pytest.param(raw(id=7), "acme", id="told"),
        pytest.param(raw(account_id=7), None, id="not told"),
        pytest.param(b"nonsense", None, id="not readable"),
        pytest.param(raw(time="soon"), "acme", id="only the time is wrong"),
        pytest.param(raw(account_id="a" * 300), "a" * 200, id="cut to what a table holds"),
    ],
)
def test_a_refused_record_says_whose_it_was_if_it_still_told(line: bytes, account: str | None) -> None:
    found = decode(line, wall=WALL)
    assert isinstance(found, BadEvent)
    assert found.account_id == account


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("0.1", id="a tenth"),
        pytest.param("1.50", id="a zero at the end"),
        pytest.param("9007199254740993", id="beyond what a double counts"),
        pytest.param("123456789012345678901234567890", id="a very large integer"),
        pytest.param("0.1000000000000000055511151231257827", id="more digits than a double has"),
        pytest.param("1E-7", id="an exponent"),
    ],
)
def test_numbers_keep_every_digit(number: str) -> None:
    found = taken(raw(properties=...)[:-1] + b',"properties":{"n":' + number.encode() + b"}}").properties["n"]
    assert not isinstance(found, float)
    assert Decimal(str(found)) == Decimal(number)
    assert decode_properties(encode_properties({"n": found}))["n"] == found


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON_VALUES))
def test_properties_come_back_from_their_bytes_as_they_were(properties: dict[str, Any]) -> None:
    assert decode_properties(encode_properties(properties)) == properties


@given(st.binary(max_size=200) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_whatever_raise(line: bytes) -> None:
    assert isinstance(decode(line, wall=WALL), (Arrived, BadEvent))


@given(st.data())
def test_no_damaged_event_raises(data: st.DataObject) -> None:
    line = bytearray(raw(properties={"a": [1.5, {"b": "é"}]}))
    for _ in range(data.draw(st.integers(1, 4))):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(decode(bytes(line), wall=WALL), (Arrived, BadEvent))


@given(st.integers(0, 100 * DAY), st.text(min_size=1, max_size=20, alphabet="abc.1é"))
def test_an_event_that_is_written_is_read_back(time: int, word: str) -> None:
    event = Event(word, word, word, word, WALL - time, {word: Decimal("1.25")})
    assert taken(encode_event(event)) == event


def test_content_differs_when_anything_but_the_id_does() -> None:
    event = taken(raw())
    others = [taken(raw(**change)) for change in ({"type": "x"}, {"user_id": "u2"}, {"time": "2026-03-01T09:00:01Z"})]
    others += [taken(raw(properties={"feature": "other"})), taken(raw(properties={"feature": 1}))]
    assert len({digest(one) for one in [event, *others]}) == 6
    assert digest(taken(raw(id="another"))) == digest(event)


def test_the_order_of_keys_is_no_content() -> None:
    one, other = raw(properties={"a": 1, "b": 2}), raw(properties={"b": 2, "a": 1})
    assert digest(taken(one)) == digest(taken(other))


# -- people's data ---------------------------------------------------------------------------------------------------


def updated(**properties: Any) -> Event:
    return taken(raw(type="user.updated", properties=properties))


def test_personal_traits_leave_only_that_they_were_set() -> None:
    stored, traits = split_personal(updated(email="a@acme.example", name="A", role="admin"))
    assert stored.properties == {"email": True, "name": True, "role": "admin"}
    assert traits == {"email": "a@acme.example", "name": "A"}


def test_a_personal_trait_that_is_cleared_stays_cleared() -> None:
    stored, traits = split_personal(updated(email=None))
    assert stored.properties == {"email": None}
    assert traits == {"email": None}


def test_a_rulebook_may_declare_more_personal_traits() -> None:
    stored, traits = split_personal(updated(badge="77", email="a@acme.example"), {"badge"})
    assert stored.properties == {"badge": True, "email": "a@acme.example"}
    assert traits == {"badge": "77"}


def test_only_what_is_told_of_people_is_split() -> None:
    event = taken(raw(properties={"email": "a@acme.example"}))
    assert split_personal(event) == (event, {})


def test_nothing_personal_leaves_the_event_as_it_is() -> None:
    event = updated(role="admin")
    assert split_personal(event) == (event, {})


@given(st.text(min_size=1))
def test_no_personal_value_ever_stays_in_an_event(secret: str) -> None:
    secret = f"<<{secret}>>"
    event = Event("e", "user.updated", "acme", "u1", 0, {"email": secret, "phone": [secret], "name": {"x": secret}})
    stored, _ = split_personal(event)
    assert secret not in repr(stored)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(raw(id=..., time=...), "'id' and 'time' are missing; each event has id, type", id="all at once"),
        pytest.param(
            raw(account_id=..., accountId="acme"),
            "'account_id' is missing; found 'accountId', rename it to account_id",
            id="another spelling",
        ),
        pytest.param(
            raw(type=..., time=..., event="x", timestamp=1),
            "missing; found 'event', rename it to type; found 'timestamp', rename it to time",
            id="other tools' names",
        ),
        pytest.param(raw(type=..., typ="x"), "found 'typ', rename it to type", id="a letter short"),
        pytest.param(raw(type=..., flavour="x"), "add it", id="nothing like it"),
        pytest.param(
            raw(properties=...)[:-1] + b',"properties":{"a":"\xff"}}',
            "its text is not UTF-8; send the event as UTF-8",
            id="bytes that are no text",
        ),
        pytest.param(nested(4_000), "nested deeper than 20; send a flatter event", id="very deep"),
        pytest.param(
            raw(properties=...)[:-1] + b',"properties":{"a":' + b"9" * 5_000 + b"}}",
            "properties: a number is too long to be read; send it as text",
            id="a number without end",
        ),
    ],
)
def test_a_reason_says_in_our_words_what_to_do(line: bytes, expected: str) -> None:
    said = reason(line)
    assert expected in said
    assert not any(word in said for word in ("Object", "Expected", "`", "$", "codec"))


def test_a_reason_never_tells_a_field_that_is_like_none_of_ours() -> None:
    assert "ada" not in reason(raw(type=..., **{"ada@acme.example": "x"}))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(raw(properties=..., propertys={}), [("propertys", "properties")], id="a letter changed"),
        pytest.param(raw(user_id=..., userId="u1"), [("userId", "user_id")], id="another spelling"),
        pytest.param(raw(user_id=..., use_id="u1"), [("use_id", "user_id")], id="a letter short"),
        pytest.param(raw(properties=..., data={}), [("data", "properties")], id="another tool's name"),
        pytest.param(raw(user_id=None, userId="u1"), [], id="ours is there too, and null on purpose"),
        pytest.param(raw(user_id=..., context={}, version=1, session_id="s", sent_at="t"), [], id="extra on purpose"),
        pytest.param(raw(user_id=...), [], id="nothing strange"),
    ],
)
def test_a_field_that_looks_like_a_missing_one_is_noticed(line: bytes, expected: list[tuple[str, str]]) -> None:
    taken(line)
    assert strays(line) == expected


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_beyond_the_years_that_can_be_written_is_refused_in_words(time: str) -> None:
    raw = json.dumps({"id": "e", "type": "used", "account_id": "acme", "time": time}).encode()
    found = decode(raw, wall=2 * 10**12)
    assert isinstance(found, BadEvent)
    assert found.reason.startswith("time: ")
